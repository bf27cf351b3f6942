import CSys
import Glibc

/// Another program with its ends in pipes: srun, dcp. It is in a process group of its own, and ends with this one.
final class BoundProgram {
    let pid: pid_t
    /// Readable when it has said something, or has ended.
    let output: Int32
    private let errors: Int32
    private var input: Int32
    private var rest: [UInt8] = []
    private var complaints: [UInt8] = []
    private var status: Int32?

    /// So much of what it complained of is kept: the first says why.
    private static let complaintBytesMax = 4096
    private static let stepNanoseconds = 10_000_000

    /// - Parameters:
    ///   - words: the first is looked for in PATH.
    ///   - signalAtEnd: what it gets should this process end before it.
    ///   - joins: its errors come with its output.
    init(_ words: [[UInt8]], signalAtEnd: Int32, joins: Bool = false) throws(SystemFault) {
        var pipes: [Int32] = []
        for _ in 0..<3 {
            var ends: [Int32] = [-1, -1]
            guard bb_pipe(&ends) == 0 else {
                let fault = SystemFault("pipe")
                for end in pipes { close(end) }
                throw fault
            }
            pipes += ends
        }
        var pid: pid_t = 0
        var pointers: [UnsafePointer<CChar>?] = words.map { UnsafePointer(strdup(chars($0))) } + [nil]
        let error = bb_spawn_bound(&pointers, pipes[0], pipes[3], joins ? pipes[3] : pipes[5], signalAtEnd, &pid)
        for pointer in pointers { free(UnsafeMutableRawPointer(mutating: pointer)) }
        for end in [pipes[0], pipes[3], pipes[5]] { close(end) }
        (self.pid, input, output, errors) = (pid, pipes[1], pipes[2], pipes[4])
        guard error == 0 else {
            for end in [input, output, errors] { close(end) }
            throw SystemFault("exec", error)
        }
        for end in [output, errors] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    }

    func send(_ bytes: [UInt8]) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(input, $0.baseAddress! + written, $0.count - written) }
            guard count > 0 else { return }
            written += count
        }
    }

    /// Takes what has come, line by line. False: there will be no more.
    func read(_ take: ([UInt8]) -> Void) -> Bool {
        hear()
        var block = [UInt8](repeating: 0, count: 64 << 10)
        let count = Glibc.read(output, &block, block.count)
        if count < 0 { return errno == EAGAIN || errno == EINTR }
        if count == 0 { return false }
        rest += block[..<count]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            take(Array(rest[..<end]))
            rest.removeFirst(end + 1)
        }
        if rest.count > StageOrder.lineBytesMax { rest = [] }
        return true
    }

    /// Hands its complaints on, and keeps the first.
    private func hear() {
        var block = [UInt8](repeating: 0, count: 4096)
        while case let count = Glibc.read(errors, &block, block.count), count > 0 {
            _ = write(2, block, count)
            complaints += block[..<min(count, Self.complaintBytesMax - complaints.count)]
        }
    }

    /// What it complained of first, without its own name.
    var complaint: String? {
        hear()
        let lines = complaints.split(separator: UInt8(ascii: "\n"))
        let wanted = lines.first { line in !Self.isNoise(line) } ?? lines.first
        guard let wanted else { return nil }
        var text = FileName.shown(wanted)[...]
        for start in ["srun: ", "error: "] where text.hasPrefix(start) { text = text.dropFirst(start.count) }
        return text.isEmpty ? nil : String(text)
    }

    /// srun tells of waiting before it tells of failing.
    private static func isNoise(_ line: ArraySlice<UInt8>) -> Bool {
        !String(decoding: line, as: UTF8.self).contains("error: ")
    }

    func signal(_ number: Int32) { kill(-pid, number) }

    func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Waits for its end; after that it is told to by SIGTERM, and half as long later by SIGKILL.
    /// - Returns: as waitpid(2) has it.
    @discardableResult func end(milliseconds: Int64) -> Int32 {
        if let status { return status }
        closeInput()
        var deadline = now() + milliseconds * 1_000_000
        var status: Int32 = 0
        var isTold = false
        while waitpid(pid, &status, WNOHANG) == 0 {
            hear()
            if now() >= deadline {
                signal(isTold ? SIGKILL : SIGTERM)
                if isTold {
                    waitpid(pid, &status, 0)
                    break
                }
                isTold = true
                deadline = now() + milliseconds * 500_000
            }
            var rest = timespec(tv_sec: 0, tv_nsec: Self.stepNanoseconds)
            nanosleep(&rest, nil)
        }
        hear()
        for end in [output, errors] { close(end) }
        self.status = status
        return status
    }

    static func isSuccess(_ status: Int32) -> Bool { status == 0 }

    /// How it ended, in words.
    static func shown(_ status: Int32) -> String {
        status & 0x7f == 0 ? "status \((status >> 8) & 0xff)" : "signal \(status & 0x7f)"
    }
}
