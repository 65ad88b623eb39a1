/* SPDX-License-Identifier: Apache-2.0 */
#include "../unit.h"

#include "rpc/service_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEC NEO_NSEC_PER_SEC

#define RETRY                                                                                      \
    "\"maxAttempts\": 3, \"initialBackoff\": \"0.1s\", \"maxBackoff\": \"1s\", "                   \
    "\"backoffMultiplier\": 2, \"retryableStatusCodes\": [\"UNAVAILABLE\"]"

/* Refused, with this path and this in the text. */
static void refuse(const char *json, const char *path, const char *says)
{
    struct service_config config;
    struct neo_error err = {0};
    char at[200];

    (void)snprintf(at, sizeof(at), "%s: ", path);
    if (service_config_init(&config, json, &err) == NEO_OK) {
        service_config_fini(&config);
        fail_msg("taken: %s", json);
    }
    if (strncmp(err.message, at, strlen(at)) != 0 || strstr(err.message, says) == NULL)
        fail_msg("%s\n  says: %s\n  not: %s%s", json, err.message, at, says);
}

#define METHOD(rest) "{\"methodConfig\": [{\"name\": [{}], " rest "}]}"

TEST(what_is_unknown_or_misplaced_is_refused_with_its_place)
{
    refuse("[]", "$", "an object");
    refuse("{\"x\": 1}", "$.x", "unknown key");
    refuse("{\"retryPolicy\": {}}", "$.retryPolicy", "methodConfig");
    refuse("{\"hedgingPolicy\": {}}", "$.hedgingPolicy", "methodConfig");
    refuse("{\"methodConfig\": [{\"timeout\": \"1s\"}]}", "$.methodConfig[0]", "apply to nothing");
    refuse("{\"methodConfig\": [{\"name\": [], \"timeout\": \"1s\"}]}", "$.methodConfig[0]",
           "apply to nothing");
    refuse("{\"methodConfig\": {}}", "$.methodConfig", "an array");
    refuse("{\"methodConfig\": [{\"names\": []}]}", "$.methodConfig[0].names", "unknown key");
    refuse(METHOD("\"timeout\": 5"), "$.methodConfig[0].timeout", "a string");
    refuse(METHOD("\"timeout\": \"5\""), "$.methodConfig[0].timeout", "duration");
    refuse(METHOD("\"timeout\": \"-5s\""), "$.methodConfig[0].timeout", "duration");
    refuse(METHOD("\"timeout\": \"5.s\""), "$.methodConfig[0].timeout", "duration");
    refuse(METHOD("\"timeout\": \"0s\""), "$.methodConfig[0].timeout", "more than 0s");
    refuse(METHOD("\"waitForReady\": 1"), "$.methodConfig[0].waitForReady", "true or false");
    refuse(METHOD("\"maxRequestMessageBytes\": 0"), "$.methodConfig[0].maxRequestMessageBytes",
           "whole number");
    refuse("{\"healthCheckConfig\": {\"service\": \"\"}}", "$.healthCheckConfig.service",
           "unknown key");
    refuse("{\"retryThrottling\": {\"maxTokens\": 0}}", "$.retryThrottling.maxTokens", "1 to 1000");
    refuse("{\"retryThrottling\": {\"maxTokens\": 1001}}", "$.retryThrottling.maxTokens",
           "1 to 1000");
    refuse("{\"retryThrottling\": {\"tokenRatio\": 0}}", "$.retryThrottling.tokenRatio", "0.001");
}

TEST(names_are_given_once)
{
    refuse("{\"methodConfig\": [{\"name\": [{}, {\"service\": \"\"}]}]}",
           "$.methodConfig[0].name[1]", "before");
    refuse("{\"methodConfig\": [{\"name\": [{\"service\": \"a\"}]}, {\"name\": [{\"service\": "
           "\"b\"}, {\"service\": \"a\", \"method\": null}]}]}",
           "$.methodConfig[1].name[1]", "another methodConfig");
    refuse("{\"methodConfig\": [{\"name\": [{\"method\": \"M\"}]}]}", "$.methodConfig[0].name[0]",
           "needs its service");
}

TEST(a_path_in_place_of_a_name_is_refused)
{
    refuse("{\"methodConfig\": [{\"name\": [{\"service\": \"/a.B\"}]}]}",
           "$.methodConfig[0].name[0]", "names nothing; write {\"service\": \"package.Service\"}");
    refuse("{\"methodConfig\": [{\"name\": [{\"service\": \"a.B/C\"}]}]}",
           "$.methodConfig[0].name[0]", "names nothing");
    refuse("{\"methodConfig\": [{\"name\": [{\"service\": \"a.B\", \"method\": \"/a.B/C\"}]}]}",
           "$.methodConfig[0].name[0]", "\"method\": \"Method\"");
}

TEST(policies_for_retries_are_whole)
{
    refuse(METHOD("\"retryPolicy\": {}"), "$.methodConfig[0].retryPolicy", "needs all of");
    refuse(METHOD("\"retryPolicy\": {\"maxAttempts\": 1}"),
           "$.methodConfig[0].retryPolicy.maxAttempts", "2 to");
    refuse(METHOD("\"retryPolicy\": {\"retryableStatusCodes\": []}"),
           "$.methodConfig[0].retryPolicy.retryableStatusCodes", "no code");
    refuse(METHOD("\"retryPolicy\": {\"retryableStatusCodes\": [\"UNAVAILABLE\", \"OK\"]}"),
           "$.methodConfig[0].retryPolicy.retryableStatusCodes[1]", "OK");
    refuse(METHOD("\"retryPolicy\": {\"retryableStatusCodes\": [17]}"),
           "$.methodConfig[0].retryPolicy.retryableStatusCodes[0]", "1 to 16");
    refuse(METHOD("\"retryPolicy\": {\"initialBackoff\": \"0s\"}"),
           "$.methodConfig[0].retryPolicy.initialBackoff", "more than 0s");
    refuse(METHOD("\"retryPolicy\": {\"perAttemptRecvTimeout\": \"1s\"}"),
           "$.methodConfig[0].retryPolicy.perAttemptRecvTimeout", "unknown key");
    refuse(METHOD("\"hedgingPolicy\": {\"hedgingDelay\": \"1s\"}"),
           "$.methodConfig[0].hedgingPolicy", "maxAttempts");
    refuse(METHOD("\"hedgingPolicy\": {\"maxAttempts\": 2}, \"retryPolicy\": {" RETRY "}"),
           "$.methodConfig[0].retryPolicy", "not both");
}

TEST(balancers_are_known_and_alone)
{
    refuse("{\"loadBalancingPolicy\": \"grpclb\"}", "$.loadBalancingPolicy", "round_robin");
    refuse("{\"loadBalancingConfig\": []}", "$.loadBalancingConfig", "no policy that is known");
    refuse("{\"loadBalancingConfig\": [{\"x\": {}}]}", "$.loadBalancingConfig", "round_robin");
    refuse("{\"loadBalancingConfig\": [{\"pick_first\": {}, \"round_robin\": {}}]}",
           "$.loadBalancingConfig[0].round_robin", "one policy");
    refuse("{\"loadBalancingConfig\": [{\"round_robin\": {\"a\": 1}}]}",
           "$.loadBalancingConfig[0].round_robin.a", "no settings");
    refuse("{\"loadBalancingConfig\": [{\"x\": 1}, {\"least_request\": {\"choiceCount\": 1}}]}",
           "$.loadBalancingConfig[1].least_request.choiceCount", "2 to");
    refuse("{\"loadBalancingConfig\": [{\"weighted_round_robin\": {\"enableOobLoadReport\": "
           "1}}]}",
           "$.loadBalancingConfig[0].weighted_round_robin.enableOobLoadReport", "true or false");
    refuse("{\"loadBalancingConfig\": [{\"weighted_round_robin\": {\"oobReportingPeriod\": "
           "\"0s\"}}]}",
           "$.loadBalancingConfig[0].weighted_round_robin.oobReportingPeriod", "more than 0s");
    refuse("{\"loadBalancingConfig\": [{\"outlier_detection\": {}}]}",
           "$.loadBalancingConfig[0].outlier_detection", "childPolicy");
    refuse("{\"loadBalancingConfig\": [{\"outlier_detection\": {\"childPolicy\": "
           "[{\"pick_first\": {}}]}}]}",
           "$.loadBalancingConfig[0].outlier_detection", "pick_first");
    refuse("{\"loadBalancingConfig\": [{\"outlier_detection\": {\"childPolicy\": "
           "[{\"outlier_detection\": {}}]}}]}",
           "$.loadBalancingConfig[0].outlier_detection.childPolicy", "known here: pick_first");
    refuse("{\"loadBalancingConfig\": [{\"outlier_detection\": {\"maxEjectionPercent\": 101}}]}",
           "$.loadBalancingConfig[0].outlier_detection.maxEjectionPercent", "0 to 100");
}

TEST(what_a_child_of_outlier_detection_may_be_is_told_without_itself)
{
    struct service_config config;
    struct neo_error err = {0};

    assert_int_equal(service_config_init(&config,
                                         "{\"loadBalancingConfig\": [{\"outlier_detection\": "
                                         "{\"childPolicy\": [{\"outlier_detection\": {}}]}}]}",
                                         &err),
                     NEO_INVALID_ARGUMENT);
    assert_null(strstr(err.message, ", outlier_detection"));
}

static void take(struct service_config *config, const char *json)
{
    struct neo_error err = {0};

    if (service_config_init(config, json, &err) != NEO_OK)
        fail_msg("%s", err.message);
}

TEST(the_older_name_of_a_balancer_is_taken_in_capitals_too)
{
    struct service_config config;

    take(&config, "{\"loadBalancingPolicy\": \"PICK_FIRST\"}");
    assert_ptr_equal(config.balance.policy, &balance_pick_first);
    service_config_fini(&config);
    refuse("{\"loadBalancingPolicy\": \"PICK_FIRST\\u0000\"}", "$.loadBalancingPolicy",
           "is unknown");
    refuse("{\"loadBalancingConfig\": [{\"PICK_FIRST\": {}}]}", "$.loadBalancingConfig", "known");
}

TEST(the_default_is_round_robin_with_careful_retries)
{
    const struct neo_method method = {.service = "a.B", .name = "C"};
    struct service_config config;

    take(&config, NULL);
    const struct method_config *m = service_config_find(&config, &method);
    assert_ptr_equal(config.balance.policy, &balance_round_robin);
    assert_true(m->has_retry && m->retry.only_safe && !m->has_hedging);
    assert_false(config.has_health);
    service_config_fini(&config);
}

TEST(the_most_exact_name_counts)
{
    const struct neo_method exact = {.service = "a.B", .name = "C"};
    const struct neo_method other = {.service = "a.B", .name = "D"};
    const struct neo_method foreign = {.service = "x.Y", .name = "C"};
    struct service_config config;

    take(&config,
         "{\"methodConfig\": [{\"name\": [{}], \"timeout\": \"1s\"}, "
         "{\"name\": [{\"service\": \"a.B\", \"method\": \"\"}], \"timeout\": \"2s\"}, "
         "{\"name\": [{\"service\": \"a.B\", \"method\": \"C\"}], \"timeout\": \"3.5s\"}]}");
    assert_int_equal(service_config_find(&config, &exact)->timeout, 35 * SEC / 10);
    assert_int_equal(service_config_find(&config, &other)->timeout, 2 * SEC);
    assert_int_equal(service_config_find(&config, &foreign)->timeout, SEC);
    service_config_fini(&config);
}

TEST(policies_are_read_and_attempts_cut_to_five)
{
    const struct neo_method method = {.service = "a.B", .name = "C"};
    struct service_config config;

    take(&config,
         METHOD("\"retryPolicy\": {\"maxAttempts\": 100, \"initialBackoff\": \"0.05s\", "
                "\"maxBackoff\": \"2s\", \"backoffMultiplier\": 1.5, "
                "\"retryableStatusCodes\": [\"unavailable\", 8]}, \"waitForReady\": false"));
    const struct method_config *m = service_config_find(&config, &method);
    assert_int_equal(m->retry.max_attempts, 5);
    assert_int_equal(m->retry.initial_backoff, SEC / 20);
    assert_int_equal(m->retry.multiplier_percent, 150);
    assert_int_equal(m->retry.retryable, 1u << 14 | 1u << 8);
    assert_true(m->has_wait_for_ready && !m->wait_for_ready && !m->retry.only_safe);
    service_config_fini(&config);

    take(&config, METHOD("\"hedgingPolicy\": {\"maxAttempts\": 9, \"hedgingDelay\": \"0.5s\", "
                         "\"nonFatalStatusCodes\": [\"ABORTED\"]}"));
    m = service_config_find(&config, &method);
    assert_true(m->has_hedging && !m->has_retry);
    assert_int_equal(m->hedging.max_attempts, 5);
    assert_int_equal(m->hedging.delay, SEC / 2);
    assert_int_equal(m->hedging.non_fatal, 1u << 10);
    service_config_fini(&config);
}

TEST(the_first_known_balancer_counts_and_what_follows_is_not_read)
{
    struct service_config config;

    take(&config, "{\"loadBalancingConfig\": [{\"grpclb\": {\"x\": 1}}, {\"least_request\": "
                  "{\"choiceCount\": 200, \"slowStartWindow\": \"3s\"}}, {\"pick_first\": {\"no\": "
                  "1}}], \"healthCheckConfig\": {\"serviceName\": \"a.B\"}}");
    assert_ptr_equal(config.balance.policy, &balance_least_request);
    assert_int_equal(config.balance.least.choices, 10);
    assert_int_equal(config.balance.least.slow_start, 3 * SEC);
    assert_true(config.has_health);
    assert_string_equal(config.health_service, "a.B");
    service_config_fini(&config);
}

TEST(outlier_detection_has_the_defaults_of_grpc)
{
    struct service_config config;

    take(&config, "{\"loadBalancingConfig\": [{\"outlier_detection_experimental\": "
                  "{\"successRateEjection\": {}, \"failurePercentageEjection\": "
                  "{\"minimumHosts\": 3}, \"childPolicy\": [{\"weighted_round_robin\": {}}]}}]}");
    const struct outlier_config *o = &config.balance.outlier;
    assert_true(config.balance.has_outlier);
    assert_ptr_equal(config.balance.policy, &balance_weighted_round_robin);
    assert_int_equal(o->interval, 10 * SEC);
    assert_int_equal(o->base_ejection, 30 * SEC);
    assert_int_equal(o->max_ejection, 300 * SEC);
    assert_int_equal(o->max_percent, 10);
    assert_true(o->success_rate.on && o->failure_percentage.on);
    assert_int_equal(o->success_rate.stdev_milli, 1900);
    assert_int_equal(o->success_rate.request_volume, 100);
    assert_int_equal(o->failure_percentage.threshold, 85);
    assert_int_equal(o->failure_percentage.minimum_hosts, 3);
    assert_int_equal(o->failure_percentage.request_volume, 50);
    service_config_fini(&config);
}

/* Every JSON block of docs/CHANNEL.md. */
TEST(the_examples_of_the_documentation_are_taken)
{
    struct service_config config;
    char path[512], line[512], json[4096] = "";
    bool inside = false;
    unsigned n = 0;

    (void)snprintf(path, sizeof(path), "%s/docs/CHANNEL.md", getenv("NEO_SOURCE_DIR"));
    FILE *page = fopen(path, "r");
    assert_non_null(page);
    while (fgets(line, sizeof(line), page) != NULL) {
        if (strcmp(line, "```json\n") == 0) {
            inside = true;
            json[0] = '\0';
        } else if (inside && strcmp(line, "```\n") == 0) {
            inside = false;
            n++;
            take(&config, json);
            service_config_fini(&config);
        } else if (inside) {
            assert_true(strlen(json) + strlen(line) < sizeof(json));
            strcat(json, line);
        }
    }
    (void)fclose(page);
    assert_int_equal(n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_unknown_or_misplaced_is_refused_with_its_place),
        cmocka_unit_test(names_are_given_once),
        cmocka_unit_test(a_path_in_place_of_a_name_is_refused),
        cmocka_unit_test(what_a_child_of_outlier_detection_may_be_is_told_without_itself),
        cmocka_unit_test(the_older_name_of_a_balancer_is_taken_in_capitals_too),
        cmocka_unit_test(policies_for_retries_are_whole),
        cmocka_unit_test(balancers_are_known_and_alone),
        cmocka_unit_test(the_default_is_round_robin_with_careful_retries),
        cmocka_unit_test(the_most_exact_name_counts),
        cmocka_unit_test(policies_are_read_and_attempts_cut_to_five),
        cmocka_unit_test(the_first_known_balancer_counts_and_what_follows_is_not_read),
        cmocka_unit_test(outlier_detection_has_the_defaults_of_grpc),
        cmocka_unit_test(the_examples_of_the_documentation_are_taken),
    };
    return cmocka_run_group_tests_name("rpc/service_config", tests, NULL, NULL);
}
