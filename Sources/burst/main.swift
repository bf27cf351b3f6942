import BurstCommands
import Glibc

exit(BurstProgram.main())
