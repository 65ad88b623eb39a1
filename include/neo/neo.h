/* SPDX-License-Identifier: Apache-2.0 */
/*
 * neo/neo.h - everything a service needs, and a way through it in ten minutes.
 *
 * 1. Say what can be called. A .proto file, from which protoc-gen-neo makes a header:
 *    structs for the messages, and for each service tables and typed functions
 *    (docs/CODEGEN.md). A zeroed struct is the empty message; to fill one, point at what
 *    you have.
 *
 *        service Greeter { rpc Greet(GreetRequest) returns (GreetReply); }
 *
 * 2. Join. A service has a name and, once, a join string ("neo token create NAME"). From
 *    then on the mesh keeps its certificate, the policy, the limits and the addresses of
 *    the others fresh: neo/mesh.h.
 *
 *        neo_mesh_start(argc, argv, "hello-service", &mesh, &err)
 *
 *    Without a mesh a server and a channel are made by hand: docs/STANDALONE.md.
 *
 * 3. Serve. A handler gets the decoded request and answers once, now or later: neo/call.h.
 *    It may keep the call, and finish it from a timer, another call's end, or by
 *    neo_call_run() from another thread; if it blocks, say so (neo_server_set_blocking()).
 *
 *        static void greet(struct neo_call *call, const struct hello_GreetRequest *r, void *self)
 *        {
 *            struct hello_GreetReply reply = {.text = NEO_LIT("hello")};
 *            hello_Greeter_Greet_reply(call, &reply);
 *        }
 *        const struct hello_Greeter_handlers handlers = {.Greet = greet};
 *        neo_mesh_serve(mesh, &hello_Greeter_info, &handlers, NULL, &err)
 *        neo_mesh_run(mesh, &err)
 *
 *    Before the handler runs it is certain who calls, that the policy allows it, that there
 *    is room, and that somebody still waits. neo/server.h has the options.
 *
 * 4. Call. A channel is to one service, wherever its instances are: neo/channel.h.
 *
 *        neo_mesh_channel(mesh, "hello-service", 0, &channel, &err)
 *        code = hello_Greeter_Greet(channel, NULL, &request, &reply, &arena, &status);
 *
 *    That waits. Without waiting: ..._start() with callbacks on a loop of Neo's, or neo/queue.h
 *    in a loop of your own. Streams are read and written with neo_stream_next() and _send(), or by
 *    the same two ways.
 *
 * 5. Pass on what belongs to the call: give the context of the call you are in to those you
 *    make, and deadline, trace and criticality are inherited.
 *
 *        struct neo_call_options o = {.parent = neo_call_context(call)};
 *
 * 6. Fail well. Every failure is a code (neo/error.h), a text, a reason and perhaps details
 *    (neo/status.h, neo/details.h). A function that can fail returns the code, fills the
 *    `struct neo_error` you give it, and leaves its results alone.
 *
 *        neo_call_fail(call, NEO_NOT_FOUND, "no order %u", request->id);
 *
 * Rules that hold everywhere:
 *
 *   Ownership   "borrows": it stays yours and must stay. "takes": it is no longer yours.
 *               "gives": it is yours, to be released by the function that is named. "copied": do
 *               as you like.
 *
 *   Bytes       struct neo_bytes borrows: a pointer and a length, not ended by NUL.
 *               NEO_LIT("text"), neo_text(string); printf("%.*s", NEO_FMT(bytes)).
 *
 *   Time        neo_nsec, nanoseconds: 3 * NEO_NSEC_PER_SEC. 0 in an option: the default.
 *
 *   Memory      what a decoded message points at lives in the arena that it was decoded into:
 *               neo/arena.h. A call has one, neo_call_arena(); it is gone when the call is.
 *
 *   Threads     a call, and a channel's callbacks, belong to one loop: stay there, or post a job
 *               (neo/loop.h). Each header says what may be called from elsewhere.
 *
 * Small programs for all of it: examples/guide, with docs/GUIDE.md.
 *
 * What is not included here has its own page: neo/channel_options.h (balancing, keepalive, ...),
 * neo/cert.h, neo/key.h, neo/digest.h, neo/spiffe.h, neo/policy.h, neo/attest.h, neo/audit.h,
 * neo/audit_file.h, neo/limits.h, neo/metrics.h, neo/span.h, neo/trace.h to run servers and
 * channels without a mesh; neo/admission.h, neo/breaker.h, neo/retry.h, neo/ratelimit.h to protect
 * other things in the same way; neo/message.h and neo/well_known.h to compare and copy messages,
 * and for Any, Timestamp and Duration; neo/proto.h, neo/descriptor.h, neo/json.h, neo/yaml.h,
 * neo/encoding.h for messages that are not compiled in; neo/insecure.h for other people's tests;
 * neo/store.h, neo/log.h, neo/buffer.h, neo/bytes.h, neo/memory.h, neo/time.h, neo/runtime.h,
 * neo/reason.h and neo/context.h for what they say.
 */
#ifndef NEO_NEO_H
#define NEO_NEO_H

#include <neo/arena.h>
#include <neo/call.h>
#include <neo/channel.h>
#include <neo/details.h>
#include <neo/error.h>
#include <neo/interceptor.h>
#include <neo/loop.h>
#include <neo/mesh.h>
#include <neo/metadata.h>
#include <neo/queue.h>
#include <neo/server.h>
#include <neo/status.h>
#include <neo/stream.h>

#endif
