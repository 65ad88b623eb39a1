/* SPDX-License-Identifier: Apache-2.0 */
/* What only the kernel can tell: options of sockets, files of unix sockets. The real loop only. */
#include "end.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static char folder[] = "/tmp/neo-kernel-XXXXXX";
static char path[64];
static char address[80];

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/x.sock", folder);
    (void)snprintf(address, sizeof(address), "unix:%s", path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails when a socket was left in it */
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void assert_set_up(int fd)
{
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
}

static void stop_when_accepted(struct door *door)
{
    (void)door;
    neo_loop_stop(loop);
}

static void stop_when_connected(struct end *end)
{
    (void)end;
    neo_loop_stop(loop);
}

TEST(every_connection_has_its_options)
{
    struct end client = {0}, server = {0};
    struct door door = {.ends = &server, .n_ends = 1, .entered = stop_when_accepted};

    door_open(&door, loop, "127.0.0.1:0", NET_ALONE);
    assert_set_up(door.watch.fd);
    end_connect(&client, loop, door.address.text);
    run();
    client.changed = stop_when_connected;
    while (client.is_connecting)
        run();
    assert_set_up(client.watch.fd);
    assert_set_up(server.watch.fd);
    end_close(&client);
    end_close(&server);
    door_close(&door);
}

TEST(an_ipv6_listener_leaves_the_ipv4_port_to_others)
{
    struct net_address six;
    char four[32];
    int fd6, fd4;

    assert_int_equal(net_listen(loop, "[::]:0", NET_ALONE, &fd6, NULL), NEO_OK);
    assert_int_equal(net_local_address(loop, fd6, &six, NULL), NEO_OK);
    (void)snprintf(four, sizeof(four), "0.0.0.0:%s", strrchr(six.text, ':') + 1);
    assert_int_equal(net_listen(loop, four, NET_ALONE, &fd4, NULL), NEO_OK);
    net_close(loop, fd4);
    net_close(loop, fd6);
}

enum { RIVALS = 8, ROUNDS = 100 };

struct rival {
    pthread_t thread;
    pthread_barrier_t *start;
    struct neo_loop *loop;
    const char *address;
    enum neo_code code;
    int fd;
};

static void *want_it_alone(void *self)
{
    struct rival *r = self;

    (void)pthread_barrier_wait(r->start);
    r->code = net_listen(r->loop, r->address, NET_FIRST, &r->fd, NULL);
    return NULL;
}

/* To the kernel threads are as good as processes of one user. */
TEST(of_many_that_want_an_address_at_the_same_time_not_two_get_it)
{
    pthread_barrier_t start;
    struct net_address wanted;
    int fd;

    assert_int_equal(net_listen(loop, "127.0.0.1:0", NET_ALONE, &fd, NULL), NEO_OK);
    assert_int_equal(net_local_address(loop, fd, &wanted, NULL), NEO_OK);
    net_close(loop, fd);
    assert_int_equal(pthread_barrier_init(&start, NULL, RIVALS), 0);
    for (int round = 0; round < ROUNDS; round++) {
        struct rival rivals[RIVALS];
        int got = 0;

        for (int i = 0; i < RIVALS; i++) {
            rivals[i] = (struct rival){.start = &start, .loop = loop, .address = wanted.text};
            assert_int_equal(pthread_create(&rivals[i].thread, NULL, want_it_alone, &rivals[i]), 0);
        }
        for (int i = 0; i < RIVALS; i++)
            assert_int_equal(pthread_join(rivals[i].thread, NULL), 0);
        for (int i = 0; i < RIVALS; i++) {
            if (rivals[i].code == NEO_OK)
                net_close(loop, rivals[i].fd);
            else
                assert_int_equal(rivals[i].code, NEO_ALREADY_EXISTS);
            got += rivals[i].code == NEO_OK;
        }
        assert_in_range(got, 0, 1);
    }
    (void)pthread_barrier_destroy(&start);
}

/* Who is restarted finds connections of before in TIME_WAIT, and gets its address all the same. */
TEST(an_address_with_connections_of_before_is_there_for_the_next)
{
    struct end client = {0}, server = {0};
    struct door door = {.ends = &server, .n_ends = 1, .entered = stop_when_accepted};
    struct net_address before;
    int fd;

    door_open(&door, loop, "127.0.0.1:0", NET_FIRST);
    before = door.address;
    end_connect(&client, loop, before.text);
    run();
    client.changed = stop_when_connected;
    while (client.is_connecting)
        run();
    end_close(&server); /* first: its end is the one that lingers */
    end_close(&client);
    door_close(&door);
    assert_int_equal(net_listen(loop, before.text, NET_FIRST, &fd, NULL), NEO_OK);
    net_close(loop, fd);
}

static bool exists(void)
{
    return access(path, F_OK) == 0;
}

TEST(a_path_is_there_while_somebody_listens)
{
    int fd;

    assert_int_equal(net_listen(loop, address, NET_ALONE, &fd, NULL), NEO_OK);
    assert_true(exists());
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    net_close(loop, fd);
    assert_false(exists());
}

TEST(a_shared_path_is_there_until_the_last_listener_goes)
{
    int first, second;

    assert_int_equal(net_listen(loop, address, NET_FIRST, &first, NULL), NEO_OK);
    assert_int_equal(net_listen(loop, address, NET_JOIN, &second, NULL), NEO_OK);
    assert_int_equal(fcntl(second, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    net_close(loop, first);
    assert_true(exists());
    net_close(loop, second);
    assert_false(exists());
}

/* As a process leaves it that is killed. */
static void leave_socket_behind(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(at.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    (void)close(fd);
}

TEST(a_path_left_behind_is_taken_over)
{
    int fd;

    leave_socket_behind();
    assert_true(exists());
    assert_int_equal(net_listen(loop, address, NET_ALONE, &fd, NULL), NEO_OK);
    net_close(loop, fd);
    assert_false(exists());
}

TEST(a_file_that_is_no_socket_is_left_alone)
{
    struct neo_error err;
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    (void)close(fd);
    assert_int_equal(net_listen(loop, address, NET_ALONE, &fd, &err), NEO_ALREADY_EXISTS);
    assert_non_null(strstr(err.message, address));
    assert_true(exists());
    (void)unlink(path);
}

TEST(a_path_that_has_become_another_socket_is_left_alone)
{
    int ours, theirs;

    assert_int_equal(net_listen(loop, address, NET_ALONE, &ours, NULL), NEO_OK);
    (void)unlink(path);
    leave_socket_behind();
    theirs = open(folder, O_RDONLY); /* keeps the inode number from being used again */
    net_close(loop, ours);
    assert_true(exists());
    (void)close(theirs);
    (void)unlink(path);
}

TEST(a_folder_that_is_not_there_is_reported)
{
    struct neo_error err;
    int fd;

    assert_int_equal(net_listen(loop, "unix:/tmp/neo-no-such-folder/x", NET_ALONE, &fd, &err),
                     NEO_NOT_FOUND);
    assert_non_null(strstr(err.message, "neo-no-such-folder"));
}

TEST(a_reserved_port_is_refused_with_advice)
{
    struct neo_error err;
    int fd;

    if (geteuid() == 0)
        skip();
    assert_int_equal(net_listen(loop, "127.0.0.1:1", NET_ALONE, &fd, &err), NEO_PERMISSION_DENIED);
    assert_non_null(strstr(err.message, "CAP_NET_BIND_SERVICE"));
}

/* TCP connects a socket to itself when both its ends are the same port. */
TEST(a_socket_connected_to_itself_counts_as_refused)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    struct neo_error err;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(net_connected(loop, fd, &err), NEO_UNAVAILABLE);
    assert_non_null(strstr(err.message, "nobody listens"));
    (void)close(fd);
}

TEST(a_descriptor_that_is_no_socket_is_refused)
{
    struct net_watch watch = {.fd = open("/dev/null", O_RDONLY)};

    assert_true(net_watch(loop, &watch, NET_READ, NULL) != NEO_OK);
    (void)close(watch.fd);
    assert_true(net_watch(loop, &watch, NET_READ, NULL) != NEO_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        on_a_loop(every_connection_has_its_options),
        on_a_loop(an_ipv6_listener_leaves_the_ipv4_port_to_others),
        on_a_loop(of_many_that_want_an_address_at_the_same_time_not_two_get_it),
        on_a_loop(an_address_with_connections_of_before_is_there_for_the_next),
        on_a_loop(a_path_is_there_while_somebody_listens),
        on_a_loop(a_shared_path_is_there_until_the_last_listener_goes),
        on_a_loop(a_path_left_behind_is_taken_over),
        on_a_loop(a_file_that_is_no_socket_is_left_alone),
        on_a_loop(a_path_that_has_become_another_socket_is_left_alone),
        on_a_loop(a_folder_that_is_not_there_is_reported),
        on_a_loop(a_reserved_port_is_refused_with_advice),
        on_a_loop(a_socket_connected_to_itself_counts_as_refused),
        on_a_loop(a_descriptor_that_is_no_socket_is_refused),
    };
    return cmocka_run_group_tests_name("io/kernel", tests, make_folder, remove_folder);
}
