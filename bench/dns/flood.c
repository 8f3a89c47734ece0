// Floods a name server on loopback as strangers do, asks beside it as known clients do, and prints what these got, as
// JSON.
//   flood PORT ZONE SECONDS QUERIES STRANGERS-RATE KNOWN-RATE FORGED
// FORGED is the share of the flood that comes from known clients' addresses.  Strangers are 100,000 addresses of
// 127.64.0.0/10, known clients 1,000 of 127.1.0.0 to 127.4.231.0, one in each /24.  Loopback needs no forging: all of
// 127.0.0.0/8 is ours, and a datagram may say from which of its addresses it is (IP_PKTINFO, ip(7)).  What is answered
// to the flood is dropped on arrival, by a filter; answers to known clients are counted and timed.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "queries.h"

enum { BATCH = 64, REPLY = 1500, STRANGERS = 100000, KNOWN = 1000 };
enum { BUCKET_NS = 100000, LAST_NS = 500000000 }; // how long an answer is waited for
enum { BUCKETS = LAST_NS / BUCKET_NS + 1 };
enum { CONTROL = CMSG_SPACE(sizeof(struct in_pktinfo)) };

struct side {
    int socket;
    struct iovec pieces[BATCH];
    struct mmsghdr messages[BATCH];
    union {
        struct cmsghdr aligned;
        char bytes[CONTROL];
    } control[BATCH];
    uint64_t sent, unsent;
};

static int count;
static struct side flood, known;
static unsigned char known_packets[BATCH][PACKET], replies[BATCH][REPLY];
static struct iovec in_pieces[BATCH];
static struct mmsghdr in[BATCH];
static uint64_t sent_at[65536], histogram[BUCKETS], answered, late, random_state = 88172645463325252ull;

static uint64_t random_next(void) { // xorshift64 (Marsaglia 2003)
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static uint32_t stranger(uint64_t number) { // spread over /24s as a botnet's addresses are
    return 0x7f400000u + (uint32_t)(number % STRANGERS * 41 % (1 << 22));
}

static uint32_t known_client(uint64_t number) { return 0x7f010000u + (uint32_t)(number % KNOWN << 8) + 77; }

static void open_side(struct side *side, struct sockaddr_in *there, int room) {
    side->socket = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(side->socket, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    struct sockaddr_in any = {.sin_family = AF_INET};
    if (bind(side->socket, (struct sockaddr *)&any, sizeof any)) perror("bind"), exit(1);
    for (int i = 0; i < BATCH; i++) {
        struct cmsghdr *head = &side->control[i].aligned;
        head->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
        head->cmsg_level = IPPROTO_IP;
        head->cmsg_type = IP_PKTINFO;
        side->messages[i].msg_hdr = (struct msghdr){.msg_name = there, .msg_namelen = sizeof *there,
            .msg_iov = &side->pieces[i], .msg_iovlen = 1, .msg_control = head, .msg_controllen = CONTROL};
    }
}

static void set(struct side *side, int i, unsigned char *packet, int size, uint32_t source) {
    struct in_pktinfo *from = (struct in_pktinfo *)CMSG_DATA(&side->control[i].aligned);
    from->ipi_spec_dst.s_addr = htonl(source);
    side->pieces[i] = (struct iovec){packet, size};
}

static int send_batch(struct side *side, int batch) {
    int taken = sendmmsg(side->socket, side->messages, batch, MSG_DONTWAIT);
    taken = taken > 0 ? taken : 0;
    side->sent += taken;
    side->unsent += batch - taken;
    return taken;
}

static void ask_as_strangers(int batch, double forged) {
    for (int i = 0; i < batch; i++) {
        uint64_t chance = random_next();
        int which = chance % count;
        int is_forged = (chance >> 40) < forged * (1 << 24);
        packets[which][0] = chance >> 16;
        packets[which][1] = chance >> 24;
        set(&flood, i, packets[which], sizes[which], is_forged ? known_client(chance >> 8) : stranger(chance >> 8));
    }
    send_batch(&flood, batch);
}

static void ask_as_known(int batch, uint64_t now) {
    for (int i = 0; i < batch; i++) {
        uint16_t id = known.sent + i;
        int which = random_next() % count;
        memcpy(known_packets[i], packets[which], sizes[which]);
        known_packets[i][0] = id >> 8;
        known_packets[i][1] = id & 255;
        sent_at[id] = now;
        set(&known, i, known_packets[i], sizes[which], known_client(known.sent + i));
    }
    send_batch(&known, batch);
}

static int hear(void) {
    int got = recvmmsg(known.socket, in, BATCH, MSG_DONTWAIT, NULL);
    uint64_t at = now_ns();
    for (int i = 0; i < got; i++) {
        uint16_t id = replies[i][0] << 8 | replies[i][1];
        uint64_t took = at - sent_at[id];
        if (!sent_at[id] || took > LAST_NS) {
            late++; // answered twice, or after somebody who asked has given up
            continue;
        }
        sent_at[id] = 0;
        answered++;
        histogram[took / BUCKET_NS]++;
    }
    return got;
}

static double percentile_ms(double share) {
    uint64_t seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += histogram[i]) >= share * answered) return (i + 1) * (BUCKET_NS / 1e6);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 8) return fputs("flood PORT ZONE SECONDS QUERIES STRANGERS-RATE KNOWN-RATE FORGED\n", stderr), 2;
    double seconds = atof(argv[3]), rate = atof(argv[5]), known_rate = atof(argv[6]), forged = atof(argv[7]);
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog drop = {1, &nothing};
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    count = read_queries(argv[4], argv[2]);
    if (!count) return perror("flood"), 1;
    open_side(&flood, &there, 1 << 16);
    open_side(&known, &there, 4 << 20);
    setsockopt(flood.socket, SOL_SOCKET, SO_ATTACH_FILTER, &drop, sizeof drop);
    for (int i = 0; i < BATCH; i++) {
        in_pieces[i] = (struct iovec){replies[i], REPLY};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_pieces[i], .msg_iovlen = 1};
    }
    uint64_t began = now_ns(), ends = began + seconds * 1e9;
    for (uint64_t now = began; now < ends; now = now_ns()) {
        double passed = (now - began) / 1e9;
        int64_t due = passed * rate - (flood.sent + flood.unsent), due_known = passed * known_rate - (known.sent + known.unsent);
        if (due_known > 0) ask_as_known(due_known < BATCH ? due_known : BATCH, now);
        if (due > 0) ask_as_strangers(due < BATCH ? due : BATCH, forged);
        hear();
    }
    double took = (now_ns() - began) / 1e9;
    struct pollfd one = {.fd = known.socket, .events = POLLIN};
    while (poll(&one, 1, LAST_NS / 1000000) > 0)
        if (hear() <= 0) break;
    printf("{\"seconds\": %.3f, \"flood\": %lu, \"asked\": %lu, \"answered\": %lu, \"late\": %lu, \"p50_ms\": %.1f, "
           "\"p99_ms\": %.1f, \"p999_ms\": %.1f}\n",
           took, flood.sent, known.sent, answered, late, percentile_ms(0.5), percentile_ms(0.99), percentile_ms(0.999));
}
