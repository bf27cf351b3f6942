// Small parts of the system that Swift cannot reach or must not run between fork and exec.
#ifndef BURST_CSYS_H
#define BURST_CSYS_H
#endif
