package import BurstModel
import Glibc
import Synchronization

/// Writes what commands printed to a file (recording format 1), each line as soon as it is known.
package final class Recorder: Sendable {
    /// How large and old a file may become, and how many older ones are kept (`FILE.1` is the newest of them).
    package struct Limits: Hashable, Sendable {
        package var bytesMax: Int64 = 64 << 20
        package var secondsMax = 24 * 3600
        package var filesKept = 7

        package init() {}
    }

    /// Every so many outputs of a command line one is whole, so that a reader never goes far back.
    package static let wholeEvery = 60
    /// Command lines whose last output is remembered; details of jobs come and go.
    package static let outputsKept = 64

    package let path: String

    private struct State: Sendable {
        var file: AppendedFile
        var bytes: Int64
        var begun: Timestamp
        var outputs: [[String]: (text: [UInt8], since: Int, used: Int)] = [:]
        var uses = 0
        /// Nothing can be written since then; what is lost is not told again.
        var failedSince: Timestamp?
        var redactor: Redactor?
    }

    private let limits: Limits
    private let header: @Sendable (Timestamp) -> RecordLine.Header
    private let state: Mutex<State>

    /// Opens the file, or goes on with it where it is a recording. Anything else that stands there is not touched.
    /// - Parameters:
    ///   - utcOffsetSeconds: of the local time in the commands' output.
    ///   - redacts: names are replaced; since numbers begin anew with each start, so does the file then.
    package init(
        path: String, tool: String, host: String, utcOffsetSeconds: Int, redacts: Bool = false,
        limits: Limits = Limits(), now: Timestamp
    ) throws(RecordingFault) {
        self.path = path
        self.limits = limits
        header = { startedAt in
            RecordLine.Header(
                tool: tool, host: redacts ? "host1" : host, startedAt: startedAt, utcOffsetSeconds: utcOffsetSeconds)
        }
        var file = try AppendedFile(path: path)
        var begun = now
        var size = file.size
        if size > 0 {
            let old = try RecordingReader(path: path)
            begun = old.startedAt
            if redacts || old.utcOffsetSeconds != utcOffsetSeconds || size >= limits.bytesMax
                || now.seconds(since: begun) >= limits.secondsMax
            {
                file = try Self.turnOver(path: path, kept: limits.filesKept)
                size = 0
                begun = now
            } else if old.bytesRead < size {
                // A line that was cut when its writer died.
                try file.cut(to: old.bytesRead)
                size = old.bytesRead
            }
        }
        if size == 0 {
            let line = RecordLine.text(header(now))
            try file.append(line)
            size = Int64(line.count)
        }
        state = Mutex(
            State(file: file, bytes: size, begun: begun, redactor: redacts ? Redactor() : nil))
    }

    /// Keeps a command's run.
    /// - Parameter monotonicMilliseconds: at the same moment as the start.
    /// - Returns: what there is to tell: that nothing can be written, once, and that it goes on.
    package func record(
        _ run: CommandRun, arguments: [String], monotonicMilliseconds: Int64
    ) -> Event? {
        state.withLock { state in
            let now = run.startedAt.adding(milliseconds: run.durationMilliseconds)
            do throws(RecordingFault) {
                if state.bytes >= limits.bytesMax || now.seconds(since: state.begun) >= limits.secondsMax {
                    let file = try Self.turnOver(path: path, kept: limits.filesKept)
                    let line = RecordLine.text(header(run.startedAt))
                    state.file = file
                    state.outputs = [:]
                    state.bytes = 0
                    try file.append(line)
                    state.bytes = Int64(line.count)
                    state.begun = run.startedAt
                }
                try write(run, arguments, monotonicMilliseconds, &state)
            } catch {
                // Half a line must not stand before the next one.
                try? state.file.cut(to: state.bytes)
                state.outputs = [:]
                guard state.failedSince == nil else { return nil }
                state.failedSince = now
                return Event(
                    at: now, level: .error, kind: .note, subject: .controller,
                    text: "recording stopped: \(error); monitoring goes on")
            }
            guard let since = state.failedSince else { return nil }
            state.failedSince = nil
            return Event(
                at: now, level: .info, kind: .note, subject: .controller,
                text: "recording goes on; \(Age.long(seconds: now.seconds(since: since))) are missing")
        }
    }

    private func write(
        _ run: CommandRun, _ arguments: [String], _ monotonic: Int64, _ state: inout State
    ) throws(RecordingFault) {
        var arguments = arguments
        var result = run.result
        if state.redactor != nil { state.redactor!.redact(&arguments, &result) }
        let before = state.outputs[arguments]
        var output = RecordLine.Output.whole(result.output)
        var since = 0
        if let before, before.since + 1 < Self.wholeEvery, RecordLine.isText(result.output) {
            let steps = LineDelta.make(from: before.text, to: result.output)
            let inserted = steps.reduce(0) { if case .insert(let bytes) = $1 { $0 + bytes.count } else { $0 + 8 } }
            if !steps.isEmpty, inserted < result.output.count {
                output = .delta(steps)
                since = before.since + 1
            }
        }
        let line = RecordLine.text(
            RecordLine.Entry(
                at: run.startedAt, monotonicMilliseconds: monotonic, arguments: arguments,
                durationMilliseconds: run.durationMilliseconds, end: result.end, output: output, errors: result.errors))
        try state.file.append(line)
        state.bytes += Int64(line.count)
        state.uses += 1
        state.outputs[arguments] = (result.output, since, state.uses)
        if state.outputs.count > Self.outputsKept, let oldest = state.outputs.min(by: { $0.value.used < $1.value.used })
        {
            state.outputs[oldest.key] = nil
        }
    }

    /// `FILE` becomes `FILE.1`, that one `FILE.2`, and so on; what is too old goes.
    private static func turnOver(path: String, kept: Int) throws(RecordingFault) -> AppendedFile {
        for number in stride(from: kept, to: 0, by: -1) {
            let older = number == 1 ? path : "\(path).\(number - 1)"
            // Not every older file need be there.
            if rename(older, "\(path).\(number)") != 0, errno != ENOENT {
                throw RecordingFault(
                    path: older, line: 0, message: "cannot be renamed: \(String(cString: strerror(errno)))")
            }
        }
        if kept == 0 { unlink(path) }
        return try AppendedFile(path: path)
    }
}

/// A file of ours that only grows: private, locked against a second writer.
final class AppendedFile: Sendable {
    private let descriptor: Int32
    private let path: String

    init(path: String, isLocked: Bool = true) throws(RecordingFault) {
        self.path = path
        descriptor = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.fault(path, "cannot be written") }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw RecordingFault(path: path, line: 0, message: "is no regular file")
        }
        // It tells who works on what.
        fchmod(descriptor, 0o600)
        if isLocked, flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            close(descriptor)
            throw RecordingFault(path: path, line: 0, message: "another process writes there")
        }
    }

    deinit {
        // Not by closing alone: a program that is being started holds a copy of the descriptor until its exec.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    private static func fault(_ path: String, _ what: String) -> RecordingFault {
        RecordingFault(path: path, line: 0, message: "\(what): \(String(cString: strerror(errno)))")
    }

    var size: Int64 {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int64(status.st_size) : 0
    }

    func append(_ bytes: [UInt8]) throws(RecordingFault) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress! + written, bytes.count - written) }
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.fault(path, "cannot be written")
            }
            written += count
        }
    }

    func cut(to size: Int64) throws(RecordingFault) {
        if ftruncate(descriptor, off_t(size)) != 0 { throw Self.fault(path, "cannot be shortened") }
    }
}
