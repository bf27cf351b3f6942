import BurstTestSupport
import Glibc

/// What processes use, by what the kernel says.
extension Processes {
    static func name(of pid: Int32) -> String {
        String(decoding: bytes("/proc/\(pid)/comm").filter { $0 != 10 }, as: UTF8.self)
    }

    /// Processor time of all threads so far, in nanoseconds.
    static func processorTime(of pid: Int32) -> UInt64 {
        var clock = clockid_t()
        var time = timespec()
        guard clock_getcpuclockid(pid, &clock) == 0, clock_gettime(clock, &time) == 0 else { return 0 }
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Processor time of all processes that were started from here and have ended, user and system, in seconds.
    static var timeOfEnded: Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_CHILDREN.rawValue), &usage)
        return [usage.ru_utime, usage.ru_stime].reduce(0) { $0 + Double($1.tv_sec) + Double($1.tv_usec) / 1e6 }
    }

    /// How often its threads woke up: the times they gave the processor away by themselves.
    static func wakeUps(of pid: Int32) -> Int {
        names(in: "/proc/\(pid)/task").reduce(0) { sum, task in
            sum + number(after: "voluntary_ctxt_switches:", in: "/proc/\(pid)/task/\(task)/status")
        }
    }

    /// Resident memory in MiB, now and at most.
    static func memory(of pid: Int32) -> (now: Double, peak: Double) {
        let status = "/proc/\(pid)/status"
        return (Double(number(after: "VmRSS:", in: status)) / 1024, Double(number(after: "VmHWM:", in: status)) / 1024)
    }

    private static func number(after word: String, in path: String) -> Int {
        for line in String(decoding: bytes(path), as: UTF8.self).split(separator: "\n") where line.hasPrefix(word) {
            return Int(line.dropFirst(word.count).filter(\.isNumber)) ?? 0
        }
        return 0
    }

    static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.first != "." { names.append(name) }
        }
        return names
    }

    static func text(_ path: String) -> String { String(decoding: bytes(path), as: UTF8.self) }

    private static func bytes(_ path: String) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 8192)
        let count = read(descriptor, &buffer, buffer.count)
        return Array(buffer[..<max(0, count)])
    }
}
