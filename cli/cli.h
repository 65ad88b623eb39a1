/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/cli.h - what the subcommands of `neo` share: options, output, the dev folder, a client.
 *
 * stdout is data, stderr is talk. -o json prints one JSON value. Exit status: 0, 1 for
 * failure, 2 for wrong use, 64 + the gRPC code for `neo call`.
 */
#ifndef NEO_CLI_CLI_H
#define NEO_CLI_CLI_H

#include <neo/buffer.h>
#include <neo/error.h>
#include <neo/json.h>
#include <neo/mesh.h>

#include <sys/stat.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_GRPC = 64 };

/* --- options ---------------------------------------------------------------------------------- */

enum arg_kind {
    ARG_TEXT,
    ARG_FLAG,
    ARG_U32,
    ARG_LIST, /* struct arg_list: may be given several times */
};

enum { ARG_LIST_MAX = 32 };
struct arg_list {
    const char *at[ARG_LIST_MAX + 1]; /* NULL-terminated */
    size_t n;
};

struct arg {
    const char *name; /* "--listen" */
    enum arg_kind kind;
    void *at;          /* const char **, bool *, uint32_t *, struct arg_list * */
    const char *value; /* "ADDR", for the help */
    const char *help;
};

/* What every command takes; filled by args_parse(). */
struct common {
    const char *dir; /* --dir, $NEO_DIR, ".neo" */
    bool json;       /* -o json, $NEO_OUTPUT=json */
};
extern struct common cli;

struct command {
    const char *name; /* "cert inspect" is "cert" with the sub-word "inspect" */
    int (*run)(int argc, char **argv);
    const char *summary;
    const char *usage;    /* behind "usage: neo " */
    const char *examples; /* lines */
};

/* Common options from argv[0] on, in front of the command: how many words. -1, or an exit status.
 */
int args_common(int argc, char **argv, int *ret_used);

/*
 * Reads options from argv[1..]; what is left goes to `rest`. Returns the number of the rest, or -1
 * after it printed help (then *ret_exit is 0) or what was wrong (2).
 */
int args_parse(const struct command *command, int argc, char **argv, const struct arg *args,
               size_t n, const char **rest, size_t max, int *ret_exit);

const struct command *command_find(const char *name);

/* --- output ----------------------------------------------------------------------------------- */

/* ANSI codes; "" when stdout is no terminal or NO_COLOR is set. */
enum ink { INK_NONE, INK_RED, INK_GREEN, INK_YELLOW, INK_DIM, INK_BOLD };
const char *ink(enum ink which);

/* "error: ..." on stderr; the exit status that fits. With -o json also {"error": ...} on stdout. */
int fail(const struct neo_error *err);
NEO_PRINTF(1, 2) int fail_usage(const char *format, ...);

/* A JSON document to stdout, with a final newline. */
void print_json(const struct neo_buffer *json);

/* Rows of text in columns as wide as they must be. */
struct table {
    size_t columns;
    struct neo_buffer cells; /* each cell terminated */
    size_t n;
};
void table_begin(struct table *t, size_t columns, const char *const *titles);
void table_cell(struct table *t, const char *text);
NEO_PRINTF(2, 3) void table_cellf(struct table *t, const char *format, ...);
/* Prints and releases. */
void table_end(struct table *t);

/* "in 23 h 59 min", "4 s ago" */
void format_when(int64_t wall_seconds, char *text, size_t len);

/* Seconds. Below, a certificate ends while its successor is asked for: at 40 to 50 % of its life.
 */
enum { LEAF_LIFE_LEAST = 10, LEAF_LIFE_MOST = 48 * 3600 };
#define LEAF_LIFE_RANGE "10 to 172800 seconds (48 h)"
static inline bool is_leaf_life(uint32_t seconds)
{
    return seconds >= LEAF_LIFE_LEAST && seconds <= LEAF_LIFE_MOST;
}

/* --- the dev folder: what `neo up` makes ------------------------------------------------------ */

enum { PATH_LEN = 1024 };
/* <dir>/<name>, into a caller's array. */
NEO_PRINTF(2, 3) void dir_path(char path[static PATH_LEN], const char *format, ...);
/* Its subfolders, all of `neo up`. */
#define DIR_FOLDERS "ca", "registry", "join", "run", "log", "simulator"
/*
 * Is `path`, of `kind` (S_IFDIR, S_IFREG), ours, and none that others may write to? Whoever can
 * write there says which policy is in force. NOT_FOUND: there is none; PERMISSION_DENIED: it is
 * not.
 */
NEO_MUST_CHECK enum neo_code dir_check(const char *path, mode_t kind, struct neo_error *err);
/* May we work in it? As dir_check() of it and of its subfolders. */
NEO_MUST_CHECK enum neo_code dir_enter(struct neo_error *err);
/* One line of a small file, without its newline. */
NEO_MUST_CHECK enum neo_code dir_line(const char *path, char *line, size_t len,
                                      struct neo_error *err);

/* --- a client: an identity of one's own, and channels ----------------------------------------- */

/*
 * Joins as `service` with the state kept in the dev folder; a first time with a token from the CA,
 * for which the operator's identity is used. Gives `*ret`: neo_mesh_free().
 */
NEO_MUST_CHECK enum neo_code client_join(const char *service, struct neo_mesh **ret,
                                         struct neo_error *err);
#define OPERATOR "neo-operator"
/*
 * Asks the CA of this folder, which must run and be ours, for a join string in
 * `<dir>/join/<service>`: see cli/first.h. Only for what `neo up` named to it.
 */
NEO_MUST_CHECK enum neo_code client_wish(const char *service, struct neo_error *err);
/* A channel of `mesh` to the CA or the registry by their known addresses, or to any service. */
NEO_MUST_CHECK enum neo_code client_channel(struct neo_mesh *mesh, const char *service,
                                            struct neo_channel **ret, struct neo_error *err);
void client_close(struct neo_mesh *mesh, struct neo_channel *channel);
/* The instances that the registry knows, asked as the operator. Lives in `arena`. */
struct neo_registry_v1_ListResponse;
NEO_MUST_CHECK enum neo_code client_instances(struct neo_arena *arena,
                                              struct neo_registry_v1_ListResponse *ret,
                                              struct neo_error *err);

/* --- processes -------------------------------------------------------------------------------- */

/* Starts `neo` (this program) with `argv` behind the name; output to `log`. The pid, or -1. */
int process_start(const char *const *argv, const char *log, struct neo_error *err);
/* True while the process of `<dir>/run/<name>.pid` lives and is a `neo serve <name>` of
 * `<dir>/<name>`. */
bool process_alive(const char *name, int *ret_pid);
/* Where process_alive(): SIGTERM, then after `seconds` SIGKILL. */
void process_stop(const char *name, unsigned seconds);
/* Resident memory in KiB; 0 when unknown. */
long process_memory(int pid);

/* --- subcommands ------------------------------------------------------------------------------ */

#define COMMANDS(X)                                                                                \
    X(up)                                                                                          \
    X(down)                                                                                        \
    X(status)                                                                                      \
    X(check)                                                                                       \
    X(call)                                                                                        \
    X(why)                                                                                         \
    X(audit)                                                                                       \
    X(attest)                                                                                      \
    X(cert)                                                                                        \
    X(ca)                                                                                          \
    X(token)                                                                                       \
    X(policy)                                                                                      \
    X(registry)                                                                                    \
    X(serve)
#define X(name) extern const struct command command_##name;
COMMANDS(X)
#undef X

#endif
