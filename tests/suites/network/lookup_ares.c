/* Looks names up by c-ares and tries what it finds. Arguments: a port, names. */
#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

static int four, six, answered;

static void found(void *unused, int status, int timeouts, struct ares_addrinfo *list) {
    (void)unused, (void)timeouts;
    if (status != ARES_SUCCESS) return;
    for (struct ares_addrinfo_node *one = list->nodes; one; one = one->ai_next) {
        char answer[16];
        if (one->ai_family == AF_INET) four++; else six++;
        int s = socket(one->ai_family, SOCK_STREAM, 0);
        const char *request = "GET /lookup HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        if (!connect(s, one->ai_addr, one->ai_addrlen) && send(s, request, strlen(request), MSG_NOSIGNAL) > 0
            && recv(s, answer, sizeof answer, 0) > 0) answered++;
        close(s);
    }
    ares_freeaddrinfo(list);
}

int main(int count, char **words) {
    ares_channel channel;
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    if (ares_library_init(ARES_LIB_INIT_ALL) || ares_init(&channel)) return 1;
    for (int i = 2; i < count; i++) {
        four = six = answered = 0;
        ares_getaddrinfo(channel, words[i], words[1], &hints, found, NULL);
        for (;;) {
            fd_set reads, writes;
            struct timeval limit, *wait;
            FD_ZERO(&reads);
            FD_ZERO(&writes);
            int most = ares_fds(channel, &reads, &writes);
            if (!most) break;
            wait = ares_timeout(channel, NULL, &limit);
            select(most, &reads, &writes, NULL, wait);
            ares_process(channel, &reads, &writes);
        }
        printf("%s: %d %d, %d answered\n", words[i], four, six, answered);
    }
    return 0;
}
