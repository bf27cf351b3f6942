/// Limits of the stager's service that no configuration changes.
enum StagingLimits {
    /// Threads for what sessions want of pools: making, mounting, renaming.
    static let storageThreads = 16
    /// Removals at once.
    static let removalThreads = 2
    /// Copies at once; more wait.
    static let workersMax = 64
    /// Milliseconds between SIGTERM and SIGKILL for a worker; for one that has others to end before it.
    static let workerStopMilliseconds: Int64 = 1000
    static let leaderStopMilliseconds: Int64 = 2500
    /// Bytes of a line that a worker says.
    static let workerLineBytesMax = 64 << 10
    /// Events that are decided on in one go.
    static let eventsAtOnce = 64
    /// Calls that are being read at once; more wait in their connections, which are not read meanwhile.
    static let readingMax = 1024
    /// Milliseconds for the loop to show its values.
    static let answerMilliseconds: Int64 = 10_000
    /// Milliseconds between two writings of what is shown while the daemon is away.
    static let filesMilliseconds: Int64 = 1000
    /// Tables that are written for who asks while the daemon is away may cost one part in so many of the time.
    static let tablesShare: Int64 = 20
    /// Seconds after which `pools` is written anew though nothing changed: readers tell by it that we live.
    static let beatSeconds = 10
    /// Seconds between two looks at pools that cannot be used, and for leaks.
    static let lookSeconds = 30
    /// Milliseconds that a teardown which cannot be written down waits for its refusal: Slurm repeats it at once.
    static let refusalMilliseconds: Int64 = 3000
    /// Bytes of a script (Slurm's own limit is 4 MiB).
    static let scriptBytesMax = 16 << 20
    /// How old a usage of a buffer's limit may be that is shown, milliseconds.
    static let usageMilliseconds: Int64 = 2000
    /// Seconds for workers of an earlier life to end.
    static let leftoverSeconds = 5
}
