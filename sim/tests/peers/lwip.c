/* Clients of lwIP's own TCP on the TAP that PRECONFIGURED_TAPIF names: transfers drawn
 * from a seed, over both versions of IP, four at the same time. `tap_peers.rs` compiles
 * this and runs it in a network namespace.
 *
 *     lwip SEED COUNT
 *
 * A transfer sends its bytes in pieces and ends its side with the last one, reads slowly
 * or not, and compares every byte that comes back. Prints what was done as JSON; one
 * that failed ends all, with its seed and number on standard error.
 */
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lwip/netif.h>
#include <lwip/sockets.h>
#include <lwip/tcpip.h>
#include <netif/tapif.h>

enum what { ECHO = 7, DISCARD = 9, CHARGEN = 19 };

static uint64_t seed;
static int count, next_number;
static long all_bytes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Splitmix: a number that follows from others. */
static uint64_t mixed(uint64_t number) {
    number += 0x9e3779b97f4a7c15;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
    number = (number ^ number >> 27) * 0x94d049bb133111eb;
    return number ^ number >> 31;
}

struct chance {
    uint64_t state;
};

static unsigned below(struct chance *chance, unsigned bound) {
    chance->state = mixed(chance->state);
    return chance->state % bound;
}

static uint8_t sent_byte(int number, long at) {
    return mixed(((uint64_t)number << 32) + at / 8) >> at % 8 * 8;
}

/* RFC 864, as the server does it. */
static uint8_t character(long at) {
    long line = at / 74, column = at % 74;
    return column == 72 ? '\r' : column == 73 ? '\n' : ' ' + (line + column) % 95;
}

static void fail(int number, const char *what, long at) {
    fprintf(stderr, "seed %llu, transfer %d: %s at %ld, errno %d\n",
            (unsigned long long)seed, number, what, at, errno);
    exit(1);
}

static int opened(int number, enum what what) {
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(what)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(what)};
    inet_pton(AF_INET, "192.168.69.2", &four.sin_addr);
    inet_pton(AF_INET6, "fd69::2", &six.sin6_addr);
    int is_six = number % 2;
    int fd = lwip_socket(is_six ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
    struct sockaddr *to = is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    if (fd < 0 || lwip_connect(fd, to, is_six ? sizeof six : sizeof four) != 0)
        fail(number, "no connection", 0);
    return fd;
}

/* Gives how many bytes came back. */
static long transfer(int number) {
    static const enum what kinds[] = {ECHO, ECHO, ECHO, DISCARD, CHARGEN};
    struct chance chance = {mixed(seed) + number};
    enum what what = kinds[below(&chance, 5)];
    unsigned power = 4 + below(&chance, 9) + below(&chance, 8);
    long bytes = (1 << power) + below(&chance, 1 << power);
    if (below(&chance, 50) == 0)
        bytes += 1 << 20;
    int piece_out = 1 + below(&chance, below(&chance, 2) ? 16384 : 800);
    int piece_in = 1 + below(&chance, below(&chance, 2) ? 16384 : 800);
    int pauses_out = below(&chance, 2) * below(&chance, 8);
    int pauses_in = below(&chance, 2) * below(&chance, 8);
    int reads_late = below(&chance, 4) == 0;

    static _Thread_local uint8_t out[16384], in[16384];
    int fd = opened(number, what);
    long sent = 0, got = 0;
    int shut = 0, quiet = 0;
    if (what == CHARGEN)
        sent = bytes; /* its side ends when so much has come */
    for (;;) {
        int writes = what != CHARGEN && sent < bytes;
        int reads = !(reads_late && writes && sent < 3000);
        if (!shut && (what == CHARGEN ? got >= bytes : sent == bytes)) {
            if (lwip_shutdown(fd, SHUT_WR) != 0)
                fail(number, "no end", sent);
            shut = 1;
        }
        struct pollfd poll = {fd, (reads ? POLLIN : 0) | (writes ? POLLOUT : 0), 0};
        /* Asked again now and then: whoever is asked twice forgets nobody. */
        if (lwip_poll(&poll, 1, 200) <= 0 && ++quiet > 150)
            fail(number, "nothing for 30 seconds", got);
        if (poll.revents)
            quiet = 0;
        if (writes && poll.revents & POLLOUT) {
            int length = bytes - sent < piece_out ? bytes - sent : piece_out;
            for (int at = 0; at < length; at++)
                out[at] = sent_byte(number, sent + at);
            int done = lwip_send(fd, out, length, MSG_DONTWAIT);
            if (done < 0 && errno != EWOULDBLOCK)
                fail(number, "writing", sent);
            sent += done < 0 ? 0 : done;
            if (pauses_out-- > 0)
                usleep(1000 * below(&chance, 10));
        }
        if (reads && poll.revents & (POLLIN | POLLHUP | POLLERR)) {
            int done = lwip_recv(fd, in, piece_in, MSG_DONTWAIT);
            if (done < 0 && errno != EWOULDBLOCK)
                fail(number, "reading", got);
            if (done == 0)
                break;
            for (int at = 0; at < done; at++) {
                int right = what == CHARGEN ? character(got + at) : sent_byte(number, got + at);
                if (in[at] != right)
                    fail(number, "another byte", got + at);
            }
            got += done < 0 ? 0 : done;
            if (pauses_in-- > 0)
                usleep(1000 * below(&chance, 10));
        }
    }
    int all = what == ECHO ? got == bytes : what == DISCARD ? got == 0 : got >= bytes;
    if (!all || !shut)
        fail(number, "a clean end with bytes missing", got);
    lwip_close(fd);
    return got;
}

static void *worker(void *unused) {
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&lock);
        int number = next_number++;
        pthread_mutex_unlock(&lock);
        if (number >= count)
            return NULL;
        long bytes = transfer(number);
        pthread_mutex_lock(&lock);
        all_bytes += bytes;
        pthread_mutex_unlock(&lock);
    }
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    seed = strtoull(argv[1], NULL, 10);
    count = atoi(argv[2]);
    tcpip_init(NULL, NULL);
    static struct netif netif;
    ip4_addr_t ip, mask, gateway;
    ip6_addr_t six;
    ip4addr_aton("192.168.69.3", &ip);
    ip4addr_aton("255.255.255.0", &mask);
    ip4addr_aton("0.0.0.0", &gateway);
    ip6addr_aton("fd69::3", &six);
    LOCK_TCPIP_CORE();
    netif_add(&netif, &ip, &mask, &gateway, NULL, tapif_init, tcpip_input);
    /* Debian's library was built for segments of 536 bytes, whatever its header says: in
     * its pool a longer frame goes past the end of its place. */
    netif.mtu = 576;
#if LWIP_ND6_ALLOW_RA_UPDATES
    netif.mtu6 = 576;
#endif
    netif_set_default(&netif);
    netif_create_ip6_linklocal_address(&netif, 1);
    netif_ip6_addr_set(&netif, 1, &six);
    for (int at = 0; at < 2; at++)
        netif_ip6_addr_set_state(&netif, at, IP6_ADDR_PREFERRED);
    netif_set_up(&netif);
    UNLOCK_TCPIP_CORE();
    pthread_t workers[4];
    for (int at = 0; at < 4; at++)
        pthread_create(&workers[at], NULL, worker, NULL);
    for (int at = 0; at < 4; at++)
        pthread_join(workers[at], NULL);
    printf("{\"done\": %d, \"bytes\": %ld}\n", count, all_bytes);
    return 0;
}
