/* A driver in C: asks an MH-Z19 CO2 sensor on a serial line once a minute (Winsen, MH-Z19B manual, "UART communication").
 *
 *     cc -O2 -o read-air read-air.c
 *
 * The line is already at 9600 baud (stty -F /dev/ttyUSB0 9600 raw -echo). Errors go to standard error; the agent counts
 * their lines, keeps no word of them, and starts the program again later.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const unsigned char question[9] = {0xFF, 0x01, 0x86, 0, 0, 0, 0, 0, 0x79};

static int read_all(int line, unsigned char *answer, size_t length)
{
    size_t got = 0;
    while (got < length) {
        ssize_t count = read(line, answer + got, length - got);
        if (count <= 0)
            return -1;
        got += (size_t)count;
    }
    return 0;
}

static int has_its_sum(const unsigned char *answer)
{
    unsigned char sum = 0;
    for (int i = 1; i < 8; i++)
        sum = (unsigned char)(sum + answer[i]);
    return (unsigned char)(0xFF - sum + 1) == answer[8];
}

int main(int argc, char **argv)
{
    const char *cadence = getenv("BANSUI_CADENCE_S");
    int line = open(argc > 1 ? argv[1] : "/dev/ttyUSB0", O_RDWR | O_NOCTTY);
    if (line < 0) {
        perror("open");
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0); /* a line is written when it is whole */
    for (;;) {
        unsigned char answer[9];
        if (write(line, question, sizeof question) != sizeof question || read_all(line, answer, sizeof answer) < 0) {
            perror("line");
            return 1;
        }
        if (answer[0] != 0xFF || answer[1] != 0x86 || !has_its_sum(answer)) {
            fputs("not an answer\n", stderr);
            return 1;
        }
        printf("{\"quantity\": \"carbon_dioxide\", \"value\": %d, \"time_ms\": %lld}\n", answer[2] * 256 + answer[3],
               (long long)time(NULL) * 1000);
        sleep(cadence ? (unsigned)atoi(cadence) : 60);
    }
}
