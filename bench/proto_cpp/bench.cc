/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of bench/micro/proto.c through our codec and through libprotobuf for C++
 * with arenas, in one process and by turns: what one pays per encode and per decode.
 *
 * Both write into a buffer that is there, and both read into an arena with a first block
 * that is used again each time. Both messages were made by decoding the same bytes.
 */
#include "neo/test/v1/bench.neo.h"
#include "neo/test/v1/bench.pb.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

namespace {

constexpr int kRounds = 15;
constexpr size_t kFirstBlock = 32768;

alignas(16) char block[kFirstBlock];

double Now()
{
    timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

void Die(const char *what)
{
    std::fprintf(stderr, "bench_proto_cpp: %s failed\n", what);
    std::exit(1);
}

template <typename Fn> double Each(int n, Fn fn)
{
    double start = Now();

    for (int i = 0; i < n; i++)
        fn();
    return (Now() - start) / n;
}

struct Times {
    std::vector<double> ours;
    std::vector<double> theirs;

    static double Median(std::vector<double> v)
    {
        std::sort(v.begin(), v.end());
        return v[v.size() / 2];
    }
    /* Of neighbours in time: what disturbed one disturbed the other. */
    void Print(const char *name, size_t len, const char *what) const
    {
        std::vector<double> ratios;

        for (size_t i = 0; i < ours.size(); i++)
            ratios.push_back(ours[i] / theirs[i]);
        std::printf("%-7s %5zu B  %s  neo %7.1f ns  C++ %7.1f ns  ratio %.2f\n", name, len, what,
                    Median(ours), Median(theirs), Median(ratios));
    }
};

/* --- ours --- */

double OurDecode(const neo_message_info *info, const std::string &wire, int n)
{
    neo_arena arena;

    neo_arena_init_with(&arena, block, sizeof(block), 1 << 20);
    double each = Each(n, [&] {
        neo_arena_reset(&arena);
        void *message = neo_arena_calloc(&arena, 1, info->size);
        if (neo_proto_decode(info, neo_bytes(wire.data(), wire.size()), message, &arena, nullptr) !=
            NEO_OK)
            Die("our decoding");
    });
    neo_arena_fini(&arena);
    return each;
}

double OurEncode(const neo_message_info *info, const std::string &wire, int n)
{
    neo_arena arena;
    neo_buffer out = {};

    neo_arena_init(&arena, 1 << 20);
    void *message = neo_arena_calloc(&arena, 1, info->size);
    if (neo_proto_decode(info, neo_bytes(wire.data(), wire.size()), message, &arena, nullptr) !=
        NEO_OK)
        Die("our decoding");
    double each = Each(n, [&] {
        neo_buffer_clear(&out);
        if (neo_proto_encode(info, message, &out, nullptr) != NEO_OK)
            Die("our encoding");
    });
    if (out.len != wire.size())
        Die("our encoding: its length");
    neo_buffer_fini(&out);
    neo_arena_fini(&arena);
    return each;
}

/* --- theirs --- */

google::protobuf::ArenaOptions WithBlock()
{
    google::protobuf::ArenaOptions options;

    options.initial_block = block;
    options.initial_block_size = sizeof(block);
    return options;
}

template <typename Message> double TheirDecode(const std::string &wire, int n)
{
    google::protobuf::Arena arena(WithBlock());

    return Each(n, [&] {
        arena.Reset();
        auto *message = google::protobuf::Arena::CreateMessage<Message>(&arena);
        if (!message->ParseFromArray(wire.data(), static_cast<int>(wire.size())))
            Die("their decoding");
    });
}

template <typename Message> double TheirEncode(const std::string &wire, int n)
{
    google::protobuf::Arena arena;
    auto *message = google::protobuf::Arena::CreateMessage<Message>(&arena);
    std::vector<char> out(wire.size());

    if (!message->ParseFromString(wire))
        Die("their decoding");
    return Each(n, [&] {
        if (!message->SerializeToArray(out.data(), static_cast<int>(out.size())))
            Die("their encoding");
    });
}

/* --- both --- */

template <typename Message>
void Measure(const char *name, const neo_message_info *info, const Message &message, int n)
{
    std::string wire = message.SerializeAsString();
    Times encode;
    Times decode;

    for (int round = 0; round < kRounds; round++) {
        encode.ours.push_back(OurEncode(info, wire, n));
        encode.theirs.push_back(TheirEncode<Message>(wire, n));
        decode.ours.push_back(OurDecode(info, wire, n));
        decode.theirs.push_back(TheirDecode<Message>(wire, n));
    }
    encode.Print(name, wire.size(), "encode");
    decode.Print(name, wire.size(), "decode");
}

neo::test::v1::Small SmallMessage()
{
    neo::test::v1::Small m;

    m.set_id("0f8fad5b-d9cb-469f-a165-70867728950e");
    m.set_name("price-feed");
    m.set_created_at(1767225600123);
    m.set_status(3);
    m.set_active(true);
    m.set_price(12.75);
    m.mutable_owner()->set_account("NVx3vfDnAeEbYXn5Kr");
    m.mutable_owner()->set_version(123456);
    return m;
}

neo::test::v1::Medium MediumMessage()
{
    neo::test::v1::Medium m;

    m.set_next_page("b2Zmc2V0PTEwMDA=");
    for (int i = 0; i < 14; i++)
        *m.add_items() = SmallMessage();
    for (int64_t i = 0; i < 60; i++)
        m.add_offsets(i * i * 37);
    (*m.mutable_labels())["region"] = "eu-central";
    (*m.mutable_labels())["tier"] = "gold";
    (*m.mutable_labels())["team"] = "oracles";
    m.add_tags("alpha");
    m.add_tags("beta");
    m.set_digest("0123456789abcdef0123456789abcdef");
    return m;
}

} // namespace

int main(int argc, char **argv)
{
    int scale = argc > 1 ? std::atoi(argv[1]) : 1;

    if (scale < 1)
        return 2;
    Measure("small", &neo_test_v1_Small_info, SmallMessage(), 300000 / scale);
    Measure("medium", &neo_test_v1_Medium_info, MediumMessage(), 30000 / scale);
    return 0;
}
