import ArgumentParser
import BurstClient
import BurstModel
import BurstWire
import Glibc

extension Burst {
    /// How far copies into and out of buffers are.
    struct Staging: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show how far copies into and out of buffers are.",
            discussion: """
                ? until the source was walked, + behind a total that still grows, >= before a time that may be longer.
                Of others' sessions only owner, size and phase are told.
                EXAMPLES
                  burst staging
                  burst staging 7 --follow
                """)
        @OptionGroup var options: CommonOptions
        @Flag(help: "Ask again every second; with TOKEN until that session is gone.")
        var follow = false
        @Argument(help: ArgumentHelp("A job's number, or a persistent buffer's name.", valueName: "TOKEN"))
        var token: String?

        /// Seconds between two questions.
        private static let everySeconds = 1

        func run() throws {
            let invocation = options.invocation
            do throws(ClientError) {
                let connection = try invocation.connect()
                defer { connection.close() }
                var drawn = 0
                while let lines = try show(connection, invocation, again: drawn) {
                    guard follow else { return }
                    drawn = lines
                    try Self.pause(connection)
                }
                if !follow || drawn == 0 { throw ClientError(.refused, "the stager knows no session \(token ?? "")") }
            } catch {
                invocation.console.complain("burst: \(error.advice)")
                throw ExitCode(1)
            }
        }

        /// Waits, and notes at once where burstd ends.
        private static func pause(_ connection: borrowing BurstConnection) throws(ClientError) {
            do throws(ClientError) {
                _ = try connection.next(seconds: everySeconds)
            } catch {
                guard error.kind == .timedOut else { throw error }
            }
        }

        /// Asks once and prints.
        /// - Parameter again: lines that a terminal shows of the time before.
        /// - Returns: lines printed; nil where no session has the token.
        private func show(
            _ connection: borrowing BurstConnection, _ invocation: Invocation, again: Int
        ) throws(ClientError) -> Int? {
            let (answer, body) = try connection.ask(.list(.staging))
            if case .refused(_, _, let text, _) = answer { throw ClientError(.refused, text) }
            let report = StagingReport(json: body)
            if report.isEmpty, let fault = report.faults.first { throw ClientError(.broken, fault.text) }
            let isThere = token.map { token in report.sessions.contains { $0.token == token } } ?? true
            guard isThere else { return nil }
            let console = invocation.console
            if options.json {
                console.out(StagingTable.document(body, token: token))
                return 1
            }
            let table = StagingTable(
                report, token: token, isASCII: ProgressLine(environment: invocation.environment).isASCII,
                width: console.outWidth, user: Self.user)
            guard follow, console.outWidth != nil else {
                for line in table.lines { console.print(line) }
                return table.lines.count
            }
            // Over what stood there before: up, and each line to its end.
            let up = again > 0 ? "\u{1b}[\(again)A\r" : ""
            console.out(Array((up + table.lines.map { $0 + "\u{1b}[K\n" }.joined() + "\u{1b}[J").utf8))
            return table.lines.count
        }

        private static func user(_ uid: UInt32) -> String {
            var entry = passwd()
            var found: UnsafeMutablePointer<passwd>?
            var buffer = [CChar](repeating: 0, count: 16_384)
            guard getpwuid_r(uid, &entry, &buffer, buffer.count, &found) == 0, found != nil, let name = entry.pw_name
            else { return "\(uid)" }
            return String(cString: name)
        }
    }
}

/// The stager's sessions as lines of text: what is under way first.
struct StagingTable {
    private static let barCells = 20
    private static let heads = ["TOKEN", "USER", "PHASE", "PROGRESS", "", "BYTES", "FILES", "RATE", "ETA", "ERR"]
    /// Columns that end at the same place.
    private static let right = 4..<10

    let lines: [String]

    /// - Parameters:
    ///   - token: only this session.
    ///   - width: of the terminal, where there is one: no line is longer.
    ///   - user: the name of a number.
    init(_ report: StagingReport, token: String?, isASCII: Bool, width: Int?, user: (UInt32) -> String) {
        let sessions = report.sessions.filter { token == nil || $0.token == token }.sorted {
            ($1.phase.rank, $0.id) < ($0.phase.rank, $1.id)
        }
        guard !sessions.isEmpty else {
            lines = ["the stager holds no session"]
            return
        }
        let rows = [Self.heads] + sessions.map { Self.cells($0, isASCII: isASCII, user: user) }
        let widths = Self.heads.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        var lines = rows.map { cells in
            var line = ""
            for (column, cell) in cells.enumerated() {
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                line += (column == 0 ? "" : "  ") + (Self.right.contains(column) ? blanks + cell : cell + blanks)
            }
            while line.last == " " { line.removeLast() }
            return line
        }
        for session in sessions {
            if let error = session.details.flatMap({ $0.lastError ?? $0.progress?.lastError }) {
                lines.append("\(session.token): \(error)")
            }
        }
        for buffer in report.quarantine where buffer.failures > 0 && (token == nil || buffer.key.token == token) {
            lines.append(
                "\(buffer.key.token): torn down, \(buffer.failures) removals failed"
                    + (buffer.lastError.map { ": \($0)" } ?? ""))
        }
        for pool in report.pools {
            if let why = pool.unavailable { lines.append("pool \(pool.id): cannot be used: \(why)") }
        }
        lines += report.faults.map(\.text)
        self.lines = lines.map { line in
            let clean = History.oneLine(line)
            return width.map { String(clean.prefix(max(1, $0 - 1))) } ?? clean
        }
    }

    private static func cells(
        _ session: StagingReport.Session, isASCII: Bool, user: (UInt32) -> String
    ) -> [String] {
        let head = [session.token, session.owner.map(user) ?? "?", session.phase.name]
        guard let progress = session.progress else { return head + ["-", "-", "-", "-", "-", "-", "-"] }
        let (full, empty) = isASCII ? ("#", ".") : ("█", "░")
        let filled = (progress.percent ?? 0) * barCells / 100
        let bar = String(repeating: full, count: filled) + String(repeating: empty, count: barCells - filled)
        return head + [
            "[\(bar)]", progress.percentText, progress.bytesText, progress.filesText,
            session.rateText, session.etaText, "\(progress.errors)",
        ]
    }

    /// The document as it came; with a token only its sessions.
    static func document(_ body: [UInt8], token: String?) -> [UInt8] {
        func line(_ bytes: [UInt8]) -> [UInt8] { bytes.last == 10 ? bytes : bytes + [10] }
        guard let token, case .object(var members)? = try? JSONValue(json: body) else { return line(body) }
        for name in ["sessions", "quarantine"] {
            guard case .array(let elements)? = members[name] else { continue }
            members[name] = .array(
                elements.filter { element in
                    guard case .object(let session) = element else { return false }
                    return session["token"] == .text(token)
                })
        }
        var writer = JSONWriter(pretty: false, expectedCount: body.count)
        writer.tree(.object(members))
        return line(writer.bytes)
    }
}
