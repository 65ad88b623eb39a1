/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh/attester.h - what the sources of evidence share: the system they ask, time, retries.
 *
 *   attester.c          the table of sources; choosing; one call from its turn to the look at its
 * result attester_sys.c      the real system, and whole files through whichever system it is
 *   attester_tsm.c      Linux configfs-tsm: SEV-SNP, TDX, Arm CCA
 *   attester_sev.c      /dev/sev-guest
 *   attester_gramine.c  Gramine's /dev/attestation
 *   attester_nsm.c      /dev/nsm of a Nitro enclave
 *   attester_azure.c    the virtual TPM of Azure's confidential machines
 *   attester_imds.c     Azure's metadata service, which has TDX's reports signed
 *   attester_tpm.c      a TPM's quote: our evidence from its parts
 *   attester_tss.c      the same TPM through tpm2-tss
 */
#ifndef NEO_MESH_ATTESTER_H
#define NEO_MESH_ATTESTER_H

#include <neo/attester.h>

#include <sys/types.h>

/* The system calls that a source makes; a test has its own. Each as in POSIX, with errno. */
struct attester_sys {
    int (*open)(struct attester_sys *s, const char *path, int flags);
    ssize_t (*read)(struct attester_sys *s, int fd, void *at, size_t len);
    ssize_t (*write)(struct attester_sys *s, int fd, const void *at, size_t len);
    int (*ioctl)(struct attester_sys *s, int fd, unsigned long request, void *argument);
    int (*wait)(struct attester_sys *s, int fd, bool to_read, neo_nsec time); /* as poll() */
    void (*close)(struct attester_sys *s, int fd);
    int (*mkdir)(struct attester_sys *s, const char *path);
    int (*rmdir)(struct attester_sys *s, const char *path);
    neo_nsec (*now)(struct attester_sys *s);
    void (*sleep)(struct attester_sys *s, neo_nsec time);
    int (*connect)(struct attester_sys *s, const char *address); /* "127.0.0.1:80"; under way */
    ssize_t (*send)(struct attester_sys *s, int fd, const void *at, size_t len); /* no SIGPIPE */
};

/* The real one, below a folder that stands for "/". */
struct attester_linux {
    struct attester_sys face;
    char root[512]; /* "" or without a slash at its end */
};
NEO_MUST_CHECK enum neo_code attester_linux_init(struct attester_linux *ret, const char *root,
                                                 struct neo_error *err);

/* One call: by when it must end, and what it asks. */
struct attester_run {
    struct attester_sys *sys;
    const struct neo_attester_options *options;
    neo_nsec until;
    unsigned pauses;
};

/* --- attester_sys.c --------------------------------------------------------------------------- */

/*
 * Busy devices are UNAVAILABLE; what changed under us is ABORTED: both may be tried again. An empty
 * file is an empty buffer. RESOURCE_EXHAUSTED: more than `max` bytes.
 */
NEO_MUST_CHECK enum neo_code attester_read(struct attester_run *run, const char *path, size_t max,
                                           struct neo_buffer *out, struct neo_error *err);
/* In one write, as attributes and devices want it. */
NEO_MUST_CHECK enum neo_code attester_write(struct attester_run *run, const char *path,
                                            struct neo_bytes bytes, struct neo_error *err);
/* As neo_fail_errno(), with EBUSY and EAGAIN as UNAVAILABLE. */
NEO_PRINTF(2, 3)
enum neo_code attester_fail_errno(struct neo_error *err, const char *format, ...);
bool attester_exists(struct attester_run *run, const char *path);
/* Can it be opened as it must be? The errno, or 0. */
int attester_open_error(struct attester_run *run, const char *path, int flags);
/*
 * After a failure: waits a little and says OK when the call may be tried again. Else the failure,
 * or DEADLINE_EXCEEDED with the text of the failure behind it.
 */
NEO_MUST_CHECK enum neo_code attester_again(struct attester_run *run, enum neo_code failed,
                                            struct neo_error *err);

/* --- sources ---------------------------------------------------------------------------------- */

struct attester_way {
    enum neo_evidence_kind kind;
    const char *provider; /* of configfs-tsm */
    void (*look)(struct attester_run *run, const struct attester_way *way,
                 struct neo_attester_finding *ret);
    enum neo_code (*attest)(struct attester_run *run, const struct attester_way *way,
                            const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                            struct neo_buffer *out_body, struct neo_buffer *out_certificates,
                            struct neo_error *err);
};

typedef void attester_look(struct attester_run *run, const struct attester_way *way,
                           struct neo_attester_finding *ret);
typedef enum neo_code attester_make(struct attester_run *run, const struct attester_way *way,
                                    const uint8_t binder[NEO_AT_LEAST(NEO_BINDER_LEN)],
                                    struct neo_buffer *out_body,
                                    struct neo_buffer *out_certificates, struct neo_error *err);
attester_look tsm_look, sev_look, gramine_look, nsm_look, azure_look, tpm_look;
attester_make tsm_attest, sev_attest, gramine_attest, nsm_attest, azure_attest, tpm_attest;

/* Fills state and texts. */
NEO_PRINTF(3, 4)
void attester_found(struct neo_attester_finding *ret, enum neo_attester_state state,
                    const char *what, ...);
NEO_PRINTF(2, 3) void attester_next(struct neo_attester_finding *ret, const char *next, ...);
/* For a device that could not be opened: absent, or who may open it. */
void attester_found_device(struct neo_attester_finding *ret, const char *path, int number);

/* As neo_attester_survey() and neo_attester_detect(), on a system of the caller's, borrowed. */
void attester_survey(struct attester_sys *sys, const struct neo_attester_options *options,
                     struct neo_attester_finding ret[NEO_AT_LEAST(NEO_ATTESTER_SOURCES_N)]);
NEO_MUST_CHECK enum neo_code attester_detect(struct attester_sys *sys,
                                             const struct neo_attester_options *options,
                                             struct neo_attester **ret,
                                             struct neo_attester_finding *ret_finding,
                                             struct neo_error *err);

enum {
    ATTESTER_BODY_MAX = 48 << 10, /* of a frame of 64 KiB, with room for certificates */
    ATTESTER_CERTIFICATES_MAX = 16 << 10,
};

#endif
