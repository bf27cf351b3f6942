#include "csys.h"

#include <malloc.h>

void bb_memory_share(void) { mallopt(M_ARENA_MAX, 2); }

void bb_memory_return(void) { malloc_trim(0); }
