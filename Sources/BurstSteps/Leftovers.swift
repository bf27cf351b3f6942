import CSys
import Glibc

/// Processes that outlived who started them: of a step whose burst-stepd was killed, of hooks whose burstd was. They
/// carry a mark in their environment.
package enum Leftovers {
    /// How often they are looked for until none is left, and the time between, milliseconds.
    static let roundsMax = 50
    static let roundMilliseconds: Int32 = 20
    /// Of a process's environment so much is read; the kernel allows an exec a quarter of the stack, 2 MiB.
    static let environmentBytesMax = 2 << 20

    /// Names this run of the machine.
    static let boot: String =
        SystemText.file("/proc/sys/kernel/random/boot_id", bytesMax: 64).map {
            String(decoding: $0.prefix { $0 != 10 }, as: UTF8.self)
        } ?? ""

    /// Kills them all, as root or as their owner. A process can take the mark off, or put another's on itself, but it
    /// can do so only to itself.
    static func kill(of keeper: StepFolder.Keeper) {
        guard keeper.boot == boot else { return }
        kill(carrying: "BURST_STEP=\(keeper.pid).\(keeper.start)")
    }

    /// - Parameter mark: `NAME=value`.
    package static func kill(carrying mark: String) {
        let mark = Array(mark.utf8)
        for _ in 0..<roundsMax {
            let left = processes().filter { carries(mark, $0) }
            if left.isEmpty { return }
            for pid in left {
                let pidfd = bb_pidfd_open(pid)
                guard pidfd >= 0 else { continue }
                if carries(mark, pid) { bb_pidfd_signal(pidfd, SIGKILL) }
                close(pidfd)
            }
            poll(nil, 0, roundMilliseconds)
        }
    }

    private static func carries(_ mark: [UInt8], _ pid: pid_t) -> Bool {
        guard let bytes = SystemText.file("/proc/\(pid)/environ", bytesMax: environmentBytesMax) else { return false }
        return bytes.split(separator: 0).contains { $0.elementsEqual(mark) }
    }

    private static func processes() -> [pid_t] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        let own = getpid()
        var found: [pid_t] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let pid = pid_t(name), pid > 1, pid != own { found.append(pid) }
        }
        return found
    }

    /// Field 22 of /proc/PID/stat, clock ticks since the machine started; nil if there is no such process.
    static func startTime(of pid: pid_t) -> UInt64? {
        guard let bytes = SystemText.file("/proc/\(pid)/stat", bytesMax: 4096),
            // The name may hold anything; what follows its last bracket is plain.
            let bracket = bytes.lastIndex(of: UInt8(ascii: ")"))
        else { return nil }
        let fields = bytes[(bracket + 1)...].split(separator: UInt8(ascii: " "))
        guard fields.count > 19 else { return nil }
        return UInt64(String(decoding: fields[19], as: UTF8.self))
    }
}
