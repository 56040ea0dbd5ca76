/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/resource.h>

#include "net_kit.h"
#include "os/os.h"

/* Only so many more descriptors, until restored. */
static struct rlimit allow_fds(int more)
{
    int lowest = (int)CHECK_OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK_OK(close(lowest));
    struct rlimit before;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &before));
    struct rlimit tight = {(rlim_t)(lowest + more), before.rlim_max};
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &tight));
    return before;
}

/* What others, the monitor say, have given back since allow_fds(). */
static struct {
    int fds[64];
    int count;
} hoard;

static void use_up(void)
{
    int fd = -1;
    while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        CHECK(hoard.count < 64);
        hoard.fds[hoard.count++] = fd;
    }
}

static void give_up_hoard(void)
{
    while (hoard.count > 0) {
        CHECK_OK(close(hoard.fds[--hoard.count]));
    }
}

static SEAM_SUSPENDS int run_out_of_numbers(void *unused)
{
    (void)unused;
    (void)sm_os_cpu_count(); /* reads a file, the first time */
    struct place place;
    int listener = listen_at("127.0.0.1", &place);
    int client = (int)CHECK_OK(connect_to(&place, in_time()));

    struct rlimit before = allow_fds(0);
    use_up();
    CHECK_ERR(connect_to(&place, in_time()), EMFILE);
    use_up();
    CHECK_ERR(seam_listen((struct sockaddr *)&place.address, place.len, 0), EMFILE);
    use_up();
    CHECK_ERR(seam_accept(listener, NULL, NULL, in_time()), EMFILE);
    use_up();
    CHECK_ERR(seam_accept(listener, NULL, NULL, SEAM_NOW), EMFILE);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &before));
    give_up_hoard();

    /* It is still there. */
    int server = (int)CHECK_OK(seam_accept(listener, NULL, NULL, in_time()));
    CHECK_EQ(seam_write(client, "x", 1, in_time()), 1);
    char byte = 0;
    CHECK_EQ(seam_read(server, &byte, 1, in_time()), 1);
    CHECK_OK(seam_close(client));
    CHECK_OK(seam_close(server));
    return (int)CHECK_OK(seam_close(listener));
}

TEST(without_descriptors_nothing_stays_open_and_connections_stay_in_the_backlog)
{
    run_in_each(run_out_of_numbers, NULL);
}

static void *(*map_before)(size_t bytes);
static bool refuses;

static void *map_unless_refused(size_t bytes)
{
    return refuses ? NULL : map_before(bytes);
}

enum { TABLE_PAGE = 1024 };

static SEAM_SUSPENDS int run_out_of_table(void *unused)
{
    (void)unused;
    struct place place;
    int listener = listen_at("127.0.0.1", &place);
    int client = (int)CHECK_OK(connect_to(&place, in_time()));
    int low[TABLE_PAGE];
    int count = 0;
    do {
        low[count] = (int)CHECK_OK(dup(listener));
    } while (low[count++] < TABLE_PAGE - 1);

    refuses = true;
    CHECK_ERR(connect_to(&place, in_time()), ENOMEM);
    struct place any;
    CHECK_OK(seam_address("127.0.0.1", 0, &any.address, &any.len));
    CHECK_ERR(seam_listen((struct sockaddr *)&any.address, any.len, 0), ENOMEM);
    int pipe_fds[2];
    CHECK_OK(pipe2(pipe_fds, O_CLOEXEC));
    CHECK_ERR(seam_adopt(pipe_fds[0]), ENOMEM);
    int server = (int)CHECK_OK(seam_accept(listener, NULL, NULL, in_time()));
    char byte = 0;
    CHECK_ERR((int)seam_read(server, &byte, 1, in_time()), ENOMEM);
    refuses = false;

    CHECK_EQ(seam_write(client, "x", 1, in_time()), 1);
    CHECK_EQ(seam_read(server, &byte, 1, in_time()), 1);
    close_both(pipe_fds);
    CHECK_OK(seam_close(server));
    CHECK_OK(seam_close(client));
    while (count > 0) {
        CHECK_OK(close(low[--count]));
    }
    return (int)CHECK_OK(seam_close(listener));
}

TEST_ONCE(without_memory_for_the_table_an_accepted_connection_is_not_lost)
{
    struct rlimit limit;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_max < (rlim_t)2 * TABLE_PAGE) CHECK_SKIP("needs more descriptors");
    limit.rlim_cur = (rlim_t)2 * TABLE_PAGE;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    map_before = sm_os.map;
    sm_os.map = map_unless_refused;
    run_in(&(struct seam_options){.current_thread = true}, run_out_of_table, NULL);
    sm_os.map = map_before;
}
