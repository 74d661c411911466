/* A TCP port that is free on 127.0.0.1 and below the ephemeral range (so that no outgoing connection takes it and no
 * ZeroMQ socket connects to itself). A port is given once: not again in this process, nor to another test process while
 * this one lives. Thread: any. */
#ifndef CALLBOARD_TESTS_FREE_PORT_H
#define CALLBOARD_TESTS_FREE_PORT_H

int free_port(void);

#endif
