// Asks a name server on loopback as fast as it answers, or at a given rate, and prints what came of it as JSON.
//   load PORT ZONE SECONDS QUERIES [RATE]
// QUERIES is a file of names, one a line, without the zone; they are asked in order, again and again, type A with EDNS.
// Without a RATE (queries a second) at most WINDOW queries are under way: the server is never idle and never flooded.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "queries.h"

enum { BATCH = 64, WINDOW = 1024, REPLY = 1500, BUCKETS = 200000 };

static unsigned char replies[BATCH][REPLY];
static struct iovec out_pieces[BATCH], in_pieces[BATCH];
static struct mmsghdr out[BATCH], in[BATCH];
static uint64_t sent_at[65536], by_rcode[16], answers_by_rcode[16];
static uint64_t histogram[BUCKETS]; // microseconds / 5: up to a second, then the last

static void count_replies(int got, uint64_t at) {
    for (int i = 0; i < got; i++) {
        unsigned char *reply = replies[i];
        uint64_t took = (at - sent_at[reply[0] << 8 | reply[1]]) / 5000;
        by_rcode[reply[3] & 15]++;
        answers_by_rcode[reply[3] & 15] += reply[7];
        histogram[took < BUCKETS ? took : BUCKETS - 1]++;
    }
}

static double percentile(double share, uint64_t all) {
    uint64_t seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += histogram[i]) >= share * all) return (i + 1) * 0.005;
    return BUCKETS * 0.005;
}

int main(int argc, char **argv) {
    if (argc < 5) return fputs("load PORT ZONE SECONDS QUERIES [RATE]\n", stderr), 2;
    int port = atoi(argv[1]), count = read_queries(argv[4], argv[2]), room = 4 << 20;
    double seconds = atof(argv[3]), rate = argc > 5 ? atof(argv[5]) : 0;
    int socket_ = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port)};
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (!count || connect(socket_, (struct sockaddr *)&there, sizeof there)) return perror("load"), 1;
    for (int i = 0; i < BATCH; i++) {
        in_pieces[i] = (struct iovec){replies[i], REPLY};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_pieces[i], .msg_iovlen = 1};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_pieces[i], .msg_iovlen = 1};
    }
    uint64_t began = now_ns(), ends = began + seconds * 1e9, sent = 0, answered = 0, lost = 0, heard = began;
    uint16_t id = 0;
    for (uint64_t now = began; now < ends; now = now_ns()) {
        int may = rate ? (int64_t)((now - began) * rate / 1e9 - sent) : (int64_t)(WINDOW - (sent - answered - lost));
        if (may >= (rate ? 1 : BATCH)) {
            int batch = may < BATCH ? may : BATCH;
            for (int i = 0; i < batch; i++, id++) {
                int which = (sent + i) % count;
                packets[which][0] = id >> 8;
                packets[which][1] = id & 255;
                sent_at[id] = now;
                out_pieces[i] = (struct iovec){packets[which], sizes[which]};
            }
            int taken = sendmmsg(socket_, out, batch, 0);
            id -= batch - (taken > 0 ? taken : 0);
            sent += taken > 0 ? taken : 0;
        }
        int got = recvmmsg(socket_, in, BATCH, MSG_DONTWAIT, NULL);
        if (got > 0) {
            heard = now_ns();
            count_replies(got, heard);
            answered += got;
        } else if (!rate && now - heard > 20000000) { // nothing for 20 ms: what is under way was lost
            lost = sent - answered;
            heard = now;
        }
    }
    struct pollfd one = {.fd = socket_, .events = POLLIN};
    uint64_t in_time = answered, last = now_ns(); // the server was at work until the last answer
    double took = (last - began) / 1e9;
    while (poll(&one, 1, 100) > 0) {
        int got = recvmmsg(socket_, in, BATCH, MSG_DONTWAIT, NULL);
        if (got <= 0) break;
        count_replies(got, last = now_ns());
        answered += got;
    }
    printf("{\"seconds\": %.6f, \"sent\": %lu, \"answered\": %lu, \"per_second\": %.0f, \"noerror\": %lu, "
           "\"records\": %lu, \"nxdomain\": %lu, \"other\": %lu, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f}\n",
           (last - began) / 1e9, sent, answered, in_time / took, by_rcode[0], answers_by_rcode[0], by_rcode[3],
           answered - by_rcode[0] - by_rcode[3], percentile(0.5, answered), percentile(0.99, answered),
           percentile(0.999, answered));
}
