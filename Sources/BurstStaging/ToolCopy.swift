import CSys
import Glibc
import Synchronization

/// Folders copied by mpiFileUtils' dcp or dsync, as the user, and compared by this program (staging.md §4.8): their
/// exit status is a hint. Single files and lists are copied by this program.
///
/// The tool goes by paths. A folder that is not there yet is copied beside its place, as `.bbcopy.TOKEN-GENERATION.N`,
/// and gets its name once it was compared; into one that is there the tool writes itself.
struct ToolCopy {
    enum Tool: String {
        case dcp, dsync
    }

    /// What the call says of the tool.
    struct Command {
        var tool: Tool
        var program: [UInt8]
        var options: [[UInt8]] = []
        /// Words before it: `mpirun -np 8`.
        var launcher: [[UInt8]] = []
    }

    let order: StageOrder
    let command: Command

    private static let lineMilliseconds: Int64 = 500
    /// After a cancel: until SIGTERM is followed by SIGKILL, and how long a removal may take, milliseconds.
    private static let stopMilliseconds: Int64 = 500
    private static let removalMilliseconds: Int64 = 600
    /// How long a program may take to end that says no more.
    private static let endMilliseconds: Int64 = 5000

    private struct Refusal: Error {
        var text: String
        var exit = StageExit.partial
    }

    /// One folder: from where to where, and under which name at first.
    private struct Move {
        var transfer: Int
        var source: [UInt8]
        var place: StageOrder.Place
        var path: [UInt8]
        /// The final path; nil: it was there before.
        var final: [UInt8]?
    }

    func run(pending: [UInt8], signals: Int32, output: Int32) -> StageExit {
        var control = Control(input: 0, signals: signals, waker: -1, pending: pending)
        var order = order
        var moves: [Move] = []
        do throws(Refusal) {
            guard case .path(let path) = order.buffer else {
                throw Refusal(
                    text: "an order for \(command.tool.rawValue) names the buffer by its path", exit: .refused)
            }
            let buffer = open(chars(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            guard buffer >= 0 else { throw Refusal(text: "the buffer: \(SystemFault("open").shown)", exit: .refused) }
            defer { close(buffer) }
            if past.summary != nil {
                order.compared = [:]
            } else if Self.isShared(buffer) {
                // Somebody else could put a link where a path leads through.
                StageSession.note(
                    order,
                    "others may write to the buffer, so that burst-stage copies all of it and "
                        + "\(command.tool.rawValue) nothing", to: output)
            } else {
                let survey = PlanSurvey(order, buffer: buffer).survey()
                if order.capacityBytes > 0, UInt64(clamping: survey.bytes) > order.capacityBytes {
                    throw Refusal(
                        text: "ENOSPC (no space left on device): \(StageMessage.size(UInt64(survey.bytes))) of "
                            + StageMessage.size(order.capacityBytes), exit: .full)
                }
                moves = try self.moves(path, buffer)
                order.known = StageOrder.Known(files: survey.files, bytes: Int(survey.bytes))
                var compared: [Int: StageOrder.Place] = [:]
                for move in moves { compared[move.transfer] = move.place }
                order.compared = compared
                try copy(moves, order, &control, output)
            }
        } catch {
            if error.exit != .cancelled || command.tool == .dcp { remove(moves, &control) }
            StageSession.tell(order, error.exit, error.text, to: output)
            return error.exit
        }
        let exit = StageSession(order, whenWhole: { () throws(SystemFault) in try name(moves, order) }).run(
            input: control.input, pending: control.buffer, signals: signals, output: output)
        if exit != .complete, exit != .cancelled || command.tool == .dcp { remove(moves, &control) }
        return exit
    }

    /// What earlier lives did; nothing where there was none.
    private var past: Journal.Past {
        switch order.journal {
        case .descriptor(let journal): return (try? Journal.past(of: journal)) ?? Journal.Past()
        case .path(let path):
            let journal = open(chars(path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
            guard journal >= 0 else { return Journal.Past() }
            defer { close(journal) }
            return (try? Journal.past(of: journal)) ?? Journal.Past()
        }
    }

    /// Anybody but the user may write below the folder.
    private static func isShared(_ buffer: Int32) -> Bool {
        var status = stat()
        guard fstat(buffer, &status) == 0 else { return true }
        return status.st_uid != geteuid() || status.st_mode & 0o022 != 0
            || bb_get_attribute(buffer, "system.posix_acl_access", nil, 0) > 0
    }

    // MARK: Places

    private func moves(_ buffer: [UInt8], _ descriptor: Int32) throws(Refusal) -> [Move] {
        let anchors = Anchors(buffer: descriptor, syncs: false)
        let slash = [UInt8(ascii: "/")]
        func path(_ place: StageOrder.Place) -> [UInt8] {
            switch place {
            case .buffer(let path): path.isEmpty ? buffer : buffer + slash + path
            case .parallel(let path): path
            }
        }
        var moves: [Move] = []
        for (index, transfer) in order.transfers.enumerated() where transfer.kind == .directory {
            let final = path(transfer.destination)
            var move = Move(
                transfer: index, source: path(transfer.source), place: transfer.destination, path: final, final: nil)
            var status = stat()
            if lstat(chars(final), &status) != 0 {
                do throws(SystemFault) {
                    guard errno == ENOENT else { throw SystemFault("stat") }
                    let (folder, _) = try anchors.folder(of: transfer.destination, followsLink: false)
                    close(try anchors.make(folder) { () throws(SystemFault) in }.fd)
                    let name = Array(".bbcopy.\(order.token)-\(order.generation).\(index)".utf8)
                    let beside = folder.bytes.isEmpty ? name : folder.bytes + slash + name
                    switch folder {
                    case .buffer: move.place = .buffer(beside)
                    case .parallel: move.place = .parallel(beside)
                    }
                } catch {
                    throw Refusal(text: "\(FileName.shown(final)): \(error.shown)")
                }
                move.path = path(move.place)
                move.final = final
            }
            moves.append(move)
        }
        return moves
    }

    /// All was compared: folders get their names.
    private func name(_ moves: [Move], _ order: StageOrder) throws(SystemFault) {
        for move in moves {
            guard let final = move.final else { continue }
            _ = try check(bb_rename_new(AT_FDCWD, chars(move.path), AT_FDCWD, chars(final)), "rename")
            guard order.durability != .none, let (above, _) = Anchors.split(final) else { continue }
            let folder = try check(open(chars(above), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open")
            defer { close(folder) }
            _ = try check(fsync(folder), "fsync")
        }
    }

    /// What was copied under a name of ours goes; what lies under the user's own names stays.
    /// - Returns: whether it was cancelled meanwhile.
    @discardableResult private func remove(
        _ moves: [Move], _ control: inout Control, milliseconds: Int64? = nil
    ) -> Bool {
        var status = stat()
        var wasCancelled = false
        for move in moves where move.final != nil && lstat(chars(move.path), &status) == 0 {
            let words = ["rm", "-rf", "--"].map { Array($0.utf8) } + [move.path]
            guard let program = try? BoundProgram(words, signalAtEnd: SIGKILL, joins: true) else { break }
            var deadline = milliseconds.map { now() + $0 * 1_000_000 }
            control.waker = program.output
            wait: while true {
                switch control.wait(until: deadline ?? .max) {
                case .ended: if !program.read({ _ in }) { break wait }
                case .cancel:
                    wasCancelled = true
                    deadline = deadline ?? now() + Self.removalMilliseconds * 1_000_000
                case .throttle, .time: break
                }
                if let deadline, now() >= deadline { break }
            }
            program.end(milliseconds: deadline == nil ? Self.endMilliseconds : 0)
            control.waker = -1
        }
        return wasCancelled
    }

    // MARK: The tool

    private func copy(
        _ moves: [Move], _ order: StageOrder, _ control: inout Control, _ output: Int32
    ) throws(Refusal) {
        // dcp has no way to go on; dsync sees what is there.
        if command.tool == .dcp, remove(moves, &control) { throw Refusal(text: "cancelled", exit: .cancelled) }
        var bytesBefore = 0
        for (index, move) in moves.enumerated() {
            // What several folders hold of the whole is not known apart.
            let bytes = order.known.bytes * (index + 1) / max(1, moves.count) - bytesBefore
            try copy(move, order, before: bytesBefore, bytes: bytes, &control, output)
            bytesBefore += bytes
        }
    }

    private func words(_ move: Move) -> [[UInt8]] {
        var options: [String]
        switch command.tool {
        case .dcp: options = ["--preserve"]
        // Where it was compared before, sizes and times were right perhaps, and the content was not.
        case .dsync: options = past.starts > 0 ? ["--contents"] : []
        }
        options += ["--sparse", "--progress", "1"]
        // The slash: what is in the folder, also where the destination is there already.
        return command.launcher + [command.program] + options.map { Array($0.utf8) } + command.options
            + [move.source + [UInt8(ascii: "/")], move.path]
    }

    private func copy(
        _ move: Move, _ order: StageOrder, before: Int, bytes: Int, _ control: inout Control, _ output: Int32
    ) throws(Refusal) {
        let tool = command.tool.rawValue
        let program: BoundProgram
        do throws(SystemFault) {
            program = try BoundProgram(
                words(move), signalAtEnd: command.launcher.isEmpty ? SIGKILL : SIGTERM, joins: true)
        } catch {
            throw Refusal(text: "\(tool) cannot be started: \(error.shown)")
        }
        defer {
            control.waker = -1
            program.end(milliseconds: Self.endMilliseconds)
        }
        program.closeInput()
        var isPaused = Self.pauses(order.rate)
        if isPaused { program.signal(SIGSTOP) }
        control.waker = program.output
        var lines = ProgressLines(order: order, threads: 1, restarts: 0)
        var percent = 0
        var complaint: String?
        var nextLine = now()
        while true {
            switch control.wait(until: nextLine) {
            case .ended:
                let goesOn = program.read { line in
                    let text = FileName.shown(line)
                    percent = max(percent, Self.percent(text) ?? 0)
                    if complaint == nil { complaint = Self.complaint(text) }
                }
                if !goesOn {
                    let status = program.end(milliseconds: Self.endMilliseconds)
                    if BoundProgram.isSuccess(status) { return }
                    let why = complaint.map { ": \($0)" } ?? ""
                    let isFull = [ENOSPC, EDQUOT].contains { why.contains("errno=\($0) ") }
                    throw Refusal(
                        text: "\(tool) ended with \(BoundProgram.shown(status))\(why)", exit: isFull ? .full : .partial)
                }
            case .cancel:
                program.signal(SIGCONT)
                program.signal(SIGTERM)
                // Those of its group that do not hear end as well.
                program.end(milliseconds: Self.stopMilliseconds)
                program.signal(SIGKILL)
                if command.tool == .dcp { remove([move], &control, milliseconds: Self.removalMilliseconds) }
                throw Refusal(text: "cancelled", exit: .cancelled)
            case .throttle(let rate):
                // The tool knows no rate, but it can be paused, as far as it runs on this machine.
                guard Self.pauses(rate) != isPaused else { break }
                isPaused.toggle()
                program.signal(isPaused ? SIGSTOP : SIGCONT)
            case .time: break
            }
            guard now() >= nextLine else { continue }
            nextLine = now() + Self.lineMilliseconds * 1_000_000
            let progress = Progress(slots: 0)
            progress.filesTotal.store(order.known.files, ordering: .relaxed)
            progress.bytesTotal.store(order.known.bytes, ordering: .relaxed)
            progress.workTotal.store(order.known.bytes * 2, ordering: .relaxed)
            progress.isPlanned.store(true, ordering: .relaxed)
            let copied = before + bytes * percent / 100
            // Both halves of a byte are still to come; the line adds the half that the copy is.
            progress.bytesDone.store(copied - order.known.bytes, ordering: .relaxed)
            progress.bytesMoved.store(copied, ordering: .relaxed)
            progress.workDone.store(copied, ordering: .relaxed)
            if StageSession.hasRoom(output) {
                let line = lines.line(
                    progress, state: "running", rate: order.rate, lastError: nil, isComplete: false)
                StageSession.write(line, to: output)
            }
        }
    }

    private static func pauses(_ rate: StageOrder.Rate) -> Bool {
        rate.bytesPerSecond == 0 || rate.filesPerSecond == 0
    }

    /// Of a line such as `[2026-01-31T12:00:00] Copied 1.000 GiB (25%) in 2.000 secs (512.000 MiB/s) 6 secs left ...`.
    static func percent(_ line: String) -> Int? {
        guard line.contains("Copied "), let open = line.firstIndex(of: "(") else { return nil }
        let rest = line[line.index(after: open)...]
        guard let close = rest.firstIndex(of: ")"), rest[..<close].hasSuffix("%"),
            let number = Int(rest[..<close].dropLast()), (0...100).contains(number)
        else { return nil }
        return number
    }

    /// Of a line such as `[2026-01-31T12:00:00] [0] [/src/mfu_io.c:23] ERROR: Failed to open ...`.
    private static func complaint(_ line: String) -> String? {
        guard let found = line.firstRange(of: "ERROR: ") else { return nil }
        return String(line[found.upperBound...])
    }
}
