import BurstStaging
import Glibc

// Threads that a cancel left at a slow disk end with the process.
_exit(StageProgram.main())
