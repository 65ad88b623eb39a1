/* SPDX-License-Identifier: Apache-2.0 */
/* Azure's metadata service: a TDREPORT goes out, a quote of it comes back, or it is said why not.
 */
#include "../attest/cvm.h"
#include "../attest/vectors.h"
#include "imds.h"

#include "mesh/attester_imds.h"

enum { REPORT_AT = AZURE_REPORT_OFFSET };

struct asked {
    enum neo_code code;
    struct neo_error err;
    struct neo_buffer quote;
};

static struct asked ask_for(struct imds *service, struct neo_bytes report, neo_nsec time)
{
    struct attester_linux system;
    struct asked a = {.code = NEO_OK};

    assert_int_equal(attester_linux_init(&system, NULL, NULL), NEO_OK);
    const struct neo_attester_options options = {.metadata = service->address};
    struct attester_run run = {
        .sys = &system.face, .options = &options, .until = system.face.now(&system.face) + time};
    a.code = imds_quote(&run, report, &a.quote, &a.err);
    return a;
}

static struct asked ask(struct imds *service, struct neo_bytes report)
{
    return ask_for(service, report, 10 * NEO_NSEC_PER_SEC);
}

/* A simulated TD behind a paravisor: its blob, and the quote that belongs to it. */
struct td {
    struct cvm c;
    struct neo_buffer blob;
    struct neo_buffer quote;
};

static void td_init(struct td *t)
{
    *t = (struct td){.blob = {0}};
    cvm_init(&t->c, true);
    cvm_blob(&t->c, &t->blob, &t->quote);
}

static void td_fini(struct td *t)
{
    cvm_fini(&t->c);
    neo_buffer_fini(&t->blob);
    neo_buffer_fini(&t->quote);
}

static struct neo_bytes report_of(const struct neo_buffer *blob)
{
    return neo_bytes(blob->at + REPORT_AT, AZURE_TD_REPORT_LEN);
}

static void expect_refused(const char *answer, struct neo_bytes report, enum neo_code code,
                           const char *says)
{
    struct imds s = {.answer = neo_text(answer)};

    imds_begin(&s);
    struct asked a = ask(&s, report);
    imds_end(&s);
    if (a.code != code || strstr(a.err.message, says) == NULL)
        fail_msg("%s: %s: %s", answer, neo_code_name(a.code), a.err.message);
    neo_buffer_fini(&a.quote);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: "
#define END     "\r\n\r\n"

TEST(answers_that_are_none_are_refused_and_said_to_be)
{
    static const struct {
        const char *answer;
        enum neo_code code;
        const char *says;
    } wrong[] = {
        {"HTTP/1.1 400 Bad Request" END, NEO_FAILED_PRECONDITION, "refused with 400"},
        {"HTTP/1.1 301 Moved\r\nLocation: http://x/" END, NEO_FAILED_PRECONDITION, "with 301"},
        {"HTTP/1.1 204 No Content" END, NEO_FAILED_PRECONDITION, "with 204"},
        {"HTTP/1.1 503 Busy" END, NEO_UNAVAILABLE, "busy"},
        {"HTTP/1.1 429 Slow down" END, NEO_UNAVAILABLE, "busy"},
        {"HTTP/2 200 OK" END, NEO_DATA_LOSS, "not HTTP/1"},
        {"HTTP/1.1 2000 OK" END, NEO_DATA_LOSS, "not HTTP/1"},
        {"SSH-2.0-x\r\n\r\n", NEO_DATA_LOSS, "not HTTP/1"},
        {"HTTP/1.1 200 OK\r\n", NEO_DATA_LOSS, "too early"},
        {OK_HEAD "20" END "{}", NEO_DATA_LOSS, "too early"},
        {OK_HEAD "2\r\nContent-Length: 2" END "{}", NEO_DATA_LOSS, "malformed field"},
        {OK_HEAD "2\r\nTransfer-Encoding: chunked" END "{}", NEO_DATA_LOSS, "two lengths"},
        {OK_HEAD "-2" END "{}", NEO_DATA_LOSS, "malformed field"},
        {OK_HEAD "99999999999999999999" END "{}", NEO_DATA_LOSS, "malformed field"},
        {OK_HEAD "2\r\nContent-Encoding: gzip" END "{}", NEO_DATA_LOSS, "malformed field"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip" END, NEO_DATA_LOSS, "malformed field"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" END "x\r\n", NEO_DATA_LOSS, "chunk"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" END "2\r\n{}x\r\n", NEO_DATA_LOSS,
         "chunk"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked" END "2\r\n{}\r\n", NEO_DATA_LOSS,
         "too early"},
        {OK_HEAD "2" END "{}", NEO_DATA_LOSS, "no \"quote\""},
        {OK_HEAD "2" END "[]", NEO_DATA_LOSS, "its answer"},
        {OK_HEAD "13" END "{\"quote\":\"**\"", NEO_DATA_LOSS, "its answer"},
        {OK_HEAD "14" END "{\"quote\":\"**\"}", NEO_DATA_LOSS, "no \"quote\""},
        {OK_HEAD "16" END "{\"quote\":\"AAAA\"}", NEO_DATA_LOSS, "no quote of a TD"},
        {OK_HEAD "31" END "{\"quote\":\"AAAA\",\"quote\":\"AAAA\"}", NEO_DATA_LOSS, "twice"},
    };
    struct td t;

    td_init(&t);
    for (size_t i = 0; i < NEO_COUNT(wrong); i++)
        expect_refused(wrong[i].answer, report_of(&t.blob), wrong[i].code, wrong[i].says);
    td_fini(&t);
}

TEST(the_quote_of_another_report_is_refused)
{
    struct td t;

    td_init(&t);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer answer = imds_answer(neo_buffer_bytes(&t.quote));
    struct imds s = {.answer = neo_buffer_bytes(&answer)};
    t.blob.at[REPORT_AT + 128] ^= 1; /* REPORTDATA */
    imds_begin(&s);
    struct asked a = ask(&s, report_of(&t.blob));
    imds_end(&s);
    assert_int_equal(a.code, NEO_DATA_LOSS);
    assert_non_null(strstr(a.err.message, "another report"));
    neo_buffer_fini(&a.quote);
    td_fini(&t);
}

TEST(an_answer_without_end_and_none_at_all_are_bounded)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer flood = {0};
    struct td t;

    td_init(&t);
    assert_true(neo_buffer_append_text(&flood, "HTTP/1.1 200 OK\r\n\r\n"));
    while (flood.len < (size_t)1 << 20)
        assert_true(neo_buffer_append_text(&flood, "0123456789abcdef"));
    struct imds endless = {.answer = neo_buffer_bytes(&flood)};
    imds_begin(&endless);
    struct asked a = ask(&endless, report_of(&t.blob));
    imds_end(&endless);
    assert_int_equal(a.code, NEO_RESOURCE_EXHAUSTED);
    struct imds silent = {.answer = {0}};
    imds_begin(&silent);
    struct asked b = ask_for(&silent, report_of(&t.blob), 50 * NEO_NSEC_PER_MSEC);
    imds_end(&silent);
    assert_int_equal(b.code, NEO_DEADLINE_EXCEEDED);
    assert_non_null(strstr(b.err.message, silent.address));
    struct asked c = ask(&silent, report_of(&t.blob)); /* nobody listens any more */
    assert_int_equal(c.code, NEO_UNAVAILABLE);
    assert_non_null(strstr(c.err.message, "cannot connect"));
    (void)snprintf(silent.address, sizeof(silent.address), "metadata:80");
    struct asked d = ask(&silent, report_of(&t.blob)); /* names are not looked up */
    assert_int_equal(d.code, NEO_UNAVAILABLE);
    td_fini(&t);
}

/* `answer` in every way in which HTTP/1 may send it. */
static void expect_quote(struct neo_bytes answer, size_t piece, bool stays, struct neo_bytes report,
                         struct neo_bytes quote)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer sent = {0};
    struct imds s = {.answer = answer, .piece = piece, .stays = stays};

    imds_begin(&s);
    struct asked a = ask(&s, report);
    imds_end(&s);
    if (a.code != NEO_OK)
        fail_msg("%s", a.err.message);
    assert_true(neo_bytes_equal(neo_buffer_bytes(&a.quote), quote));
    assert_int_equal(s.asked, 1);
    assert_memory_equal(s.request, "POST /acc/tdquote HTTP/1.1\r\n", 28);
    const char *body = strstr(s.request, "{\"report\":\"");
    assert_non_null(body);
    body += 11;
    assert_int_equal(neo_base64_decode(neo_bytes(body, strcspn(body, "\"")), &sent, NULL), NEO_OK);
    assert_true(neo_bytes_equal(neo_buffer_bytes(&sent), report));
    neo_buffer_fini(&a.quote);
}

static struct neo_buffer chunked(struct neo_bytes quote)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer plain = imds_answer(quote);
    struct neo_buffer out = {0};
    const uint8_t *body = memmem(plain.at, plain.len, "\r\n\r\n", 4);
    struct neo_bytes rest = neo_bytes_from(neo_buffer_bytes(&plain), (size_t)(body + 4 - plain.at));

    assert_true(neo_buffer_append_text(&out, "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked" END));
    while (rest.len > 0) {
        size_t n = rest.len < 1000 ? rest.len : 1000;
        assert_true(neo_buffer_printf(&out, "%zX;x=y\r\n", n));
        assert_true(neo_buffer_append(&out, neo_bytes(rest.at, n)));
        assert_true(neo_buffer_append_text(&out, "\r\n"));
        rest = neo_bytes_from(rest, n);
    }
    assert_true(neo_buffer_append_text(&out, "0\r\n\r\n"));
    return out;
}

static void expect_every_way(struct neo_bytes report, struct neo_bytes quote)
{
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer whole = imds_answer(quote);
    NEO_CLEANUP(neo_buffer_fini) struct neo_buffer chunks = chunked(quote);

    expect_quote(neo_buffer_bytes(&whole), 0, false, report, quote);
    expect_quote(neo_buffer_bytes(&whole), 100, true, report, quote);
    expect_quote(neo_buffer_bytes(&chunks), 0, true, report, quote);
    expect_quote(neo_buffer_bytes(&chunks), 7, false, report, quote);
}

TEST(a_quote_comes_by_length_in_chunks_and_in_pieces)
{
    struct td t;

    td_init(&t);
    expect_every_way(report_of(&t.blob), neo_buffer_bytes(&t.quote));
    td_fini(&t);
}

TEST(the_recorded_report_and_quote_belong_together)
{
    if (!vectors_exist())
        skip();
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer blob = vectors_read("azure-vtpm/tdx_hcl_report.bin");
    NEO_CLEANUP(neo_buffer_fini)
    struct neo_buffer quote = vectors_read("azure-vtpm/tdx_td_quote.dat");
    expect_every_way(report_of(&blob), neo_buffer_bytes(&quote));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_that_are_none_are_refused_and_said_to_be),
        cmocka_unit_test(the_quote_of_another_report_is_refused),
        cmocka_unit_test(an_answer_without_end_and_none_at_all_are_bounded),
        cmocka_unit_test(a_quote_comes_by_length_in_chunks_and_in_pieces),
        cmocka_unit_test(the_recorded_report_and_quote_belong_together),
    };
    return cmocka_run_group_tests_name("mesh/attester_imds", tests, machine_setup,
                                       machine_teardown);
}
