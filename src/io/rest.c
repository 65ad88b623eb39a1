/* SPDX-License-Identifier: Apache-2.0 */
#include "io/rest.h"

#include <neo/bytes.h>

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define FIRST_LOOK (5 * NEO_NSEC_PER_SEC)
#define NEXT_LOOK  (30 * NEO_NSEC_PER_SEC)

/* Working less than a hundredth of the time is rest. */
enum { BUSY_SHARE = 100 };

/* Between two times of giving back there must have been work that was worth it. */
#define WORTH_IT (200 * NEO_NSEC_PER_MSEC)

/*
 * Segments that were mapped without the right to write are what the file is, so dropping them loses
 * nothing: code, constants, symbol tables. What the dynamic linker relocates was mapped writable
 * and is left alone.
 */
static int drop_constant_segments(struct dl_phdr_info *object, size_t size, void *unused)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)unused;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];

        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0)
            continue;
        uintptr_t from = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        uintptr_t to = object->dlpi_addr + segment->p_vaddr + segment->p_filesz;
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): where the linker says it has put it */
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* a locked page stays: as well */
    }
    return 0;
}

void rest_give_back(void)
{
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(drop_constant_segments, NULL);
}

bool rest_is_due(struct rest *r, neo_nsec cpu, neo_nsec span)
{
    neo_nsec used = cpu - r->looked;

    r->looked = cpu;
    if (used > span / BUSY_SHARE || (r->gave != 0 && cpu - r->gave < WORTH_IT))
        return false;
    r->gave = cpu;
    return true;
}

static neo_nsec process_cpu(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        return 0;
    return (neo_nsec)t.tv_sec * NEO_NSEC_PER_SEC + (neo_nsec)t.tv_nsec;
}

static void look(struct neo_timer *timer)
{
    struct rest *r = neo_owner(timer, struct rest, timer);

    if (rest_is_due(r, process_cpu(), r->gave == 0 ? FIRST_LOOK : NEXT_LOOK))
        rest_give_back();
    neo_loop_arm(r->loop, &r->timer,
                 neo_loop_now(r->loop) + (r->gave == 0 ? FIRST_LOOK : NEXT_LOOK));
}

void rest_start(struct rest *r, struct neo_loop *loop)
{
    *r = (struct rest){.timer = {.expired = look}, .loop = loop, .looked = process_cpu()};
    neo_loop_arm(loop, &r->timer, neo_mono_nsec() + FIRST_LOOK);
}

void rest_stop(struct rest *r)
{
    neo_loop_disarm(r->loop, &r->timer);
}
