// Small parts of the system that Swift cannot reach or must not run: signal handlers, fork, and what both share.
#ifndef BURST_CSYS_H
#define BURST_CSYS_H
#include "bb_terminal.h"
#endif
