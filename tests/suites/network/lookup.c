/* Looks names up by getaddrinfo(3) and tries what it finds. Arguments: a port, names. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int count, char **words) {
    for (int i = 2; i < count; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
        int four = 0, six = 0, answered = 0;
        int error = getaddrinfo(words[i], words[1], &hints, &found);
        for (struct addrinfo *one = error ? NULL : found; one; one = one->ai_next) {
            char answer[16];
            if (one->ai_family == AF_INET) four++; else six++;
            int s = socket(one->ai_family, SOCK_STREAM, 0);
            const char *request = "GET /lookup HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            if (!connect(s, one->ai_addr, one->ai_addrlen) && send(s, request, strlen(request), MSG_NOSIGNAL) > 0
                && recv(s, answer, sizeof answer, 0) > 0) answered++;
            close(s);
        }
        printf("%s: %d %d, %d answered\n", words[i], four, six, answered);
    }
    return 0;
}
