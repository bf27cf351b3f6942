import Glibc
import Synchronization

/// Threads for tests that wait for programs: a test that waits on one of Swift's own threads, of which there are as
/// many as processors, would keep all others from running.
package final class Workers: TaskExecutor {
    package static let shared = Workers(count: 8)

    private let jobs = Mutex<[UnownedJob]>([])
    /// A byte for each job that waits.
    private let reader: Int32
    private let writer: Int32

    /// - Parameter count: how many may wait at once.
    package init(count: Int) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { fatalError("pipe: errno \(errno)") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (reader, writer) = (ends[0], ends[1])
        for _ in 0..<count {
            var thread = pthread_t()
            let own = Unmanaged.passRetained(self)
            pthread_create(
                &thread, nil,
                { pointer in
                    Unmanaged<Workers>.fromOpaque(pointer!).takeRetainedValue().work()
                }, own.toOpaque())
        }
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        jobs.withLock { $0.append(job) }
        var byte: UInt8 = 1
        _ = write(writer, &byte, 1)
    }

    private func work() -> Never {
        while true {
            var byte: UInt8 = 0
            guard read(reader, &byte, 1) == 1 else { continue }
            let job = jobs.withLock { $0.removeFirst() }
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }
}
