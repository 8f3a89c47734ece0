// The least that a UDP server can do: whole batches in, the same bytes out.  What is above its cost, answering costs.
//   echo PORT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BATCH = 64, ROW_BYTES = 65 * 64 }; // as the server that it stands beside

static unsigned char rows[BATCH][ROW_BYTES];
static struct sockaddr_in6 names[BATCH];
static struct iovec pieces[BATCH];
static struct mmsghdr messages[BATCH];

int main(int argc, char **argv) {
    int port = argc > 1 ? atoi(argv[1]) : 5300, room = 4 << 20;
    int socket_ = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(socket_, (struct sockaddr *)&here, sizeof here)) return perror("bind"), 1;
    for (int i = 0; i < BATCH; i++) {
        pieces[i].iov_base = rows[i];
        messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            pieces[i].iov_len = ROW_BYTES;
            messages[i].msg_hdr.msg_namelen = sizeof names[i];
        }
        int count = recvmmsg(socket_, messages, BATCH, MSG_DONTWAIT, NULL);
        if (count <= 0) {
            struct pollfd one = {.fd = socket_, .events = POLLIN};
            poll(&one, 1, 50);
            continue;
        }
        for (int i = 0; i < count; i++) pieces[i].iov_len = messages[i].msg_len;
        for (int done = 0; done < count;) {
            int taken = sendmmsg(socket_, messages + done, count - done, 0);
            done += taken > 0 ? taken : 1;
        }
    }
}
