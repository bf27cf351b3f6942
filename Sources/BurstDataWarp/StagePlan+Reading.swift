import BurstModel

extension StagePlan {
    /// Reads what the directives say, strictly: what Slurm would silently take for something else is refused here, as
    /// this is the only place that can (staging.md §0 fact 8, §5 F6).
    /// - Throws: every line that is wrong, each with what would be right.
    package static func read(_ script: DirectiveScript) throws(DirectiveFaults) -> StagePlan {
        var reader = PlanReader(script)
        reader.readLines()
        reader.checkTogether()
        guard reader.faults.isEmpty else { throw DirectiveFaults(reader.faultsInOrder) }
        return reader.plan
    }
}

/// Builds a plan from a script's directives.
private struct PlanReader {
    let script: DirectiveScript
    var plan = StagePlan()
    var faults: [DirectiveScript.Fault]
    private var attachedByVariable: [String: StagePlan.Attachment] = [:]
    /// The lines that name a buffer to create or to destroy.
    private var createdLines: [BufferName: Int] = [:]
    private var removedLines: [BufferName: Int] = [:]
    /// Sides of copies as written, to be judged once all buffers are known.
    private var copies: [(directive: Directive, source: StageSide, destination: StageSide?)] = []
    /// Every buffer that the script asks for is known: none of its lines was refused.
    private var knowsBuffers = true

    init(_ script: DirectiveScript) {
        self.script = script
        faults = script.faults
        plan.countsDirectives = script.isReplaced
    }

    /// By line; those of one line as they were found.
    var faultsInOrder: [ErrorLine] {
        let sorted = faults.enumerated().sorted { ($0.element.number, $0.offset) < ($1.element.number, $1.offset) }
        return sorted.map(\.element.text)
    }

    private mutating func fault(_ number: Int, _ text: ErrorLine) {
        // The table of directives names them as the datawarp plugin does.
        let text = script.directive.map { ErrorLine(text.text.replacing("#DW ", with: "#\($0) ")) } ?? text
        faults.append(.init(number: number, text: text.at(script.place(number))))
    }

    private mutating func fault(_ number: Int, _ text: String) { fault(number, ErrorLine(text)) }

    mutating func readLines() {
        for line in script.lines where faults.count < DirectiveLimits.faultsMax {
            do throws(ErrorLine) {
                let isLua = script.directive != nil
                guard let directive = try Directive(line, mayHoldSymbols: !script.isReplaced, isLua: isLua)
                else { continue }
                if isLua { try directive.checkForLua() }
                try take(directive)
            } catch {
                fault(line.number, error)
            }
        }
    }

    private mutating func take(_ directive: Directive) throws(ErrorLine) {
        switch directive.rule.verb {
        case .jobdw: try takeJobBuffer(directive)
        case .swap: try takeSwap(directive)
        case .persistentdw:
            let attachment = StagePlan.Attachment(line: directive.number, name: try directive.buffer())
            if let other = attachedByVariable[attachment.name.variable] {
                guard other.name != attachment.name else { throw again(other.name, other.line) }
                let (shown, otherShown) = (ErrorLine.name(attachment.name.text), ErrorLine.name(other.name.text))
                throw ErrorLine(
                    "\(shown) and \(otherShown) of \(script.place(other.line)) get one variable: rename one of them")
            }
            attachedByVariable[attachment.name.variable] = attachment
            plan.attachments.append(attachment)
        case .stageIn, .stageOut:
            let source = try side("source", directive)
            let destination = directive.has("destination") ? try side("destination", directive) : nil
            copies.append((directive, source, destination))
        case .create: try takeCreation(directive)
        case .destroy:
            let name = try directive.buffer()
            if let line = removedLines.updateValue(directive.number, forKey: name) { throw again(name, line) }
            let isHurried = directive.text.firstRange(of: "hurry") != nil
            plan.removals.append(.init(line: directive.number, name: name, isHurried: isHurried))
        }
    }

    private func side(_ key: String, _ directive: Directive) throws(ErrorLine) -> StageSide {
        try StageSide(directive.values[key] ?? [], key: key, mayHoldSymbols: !script.isReplaced)
    }

    private func again(_ name: BufferName, _ line: Int) -> ErrorLine {
        ErrorLine("name=\(ErrorLine.name(name.text)): \(script.place(line)) says so already; remove one of the two")
    }

    // MARK: Buffers

    private mutating func takeJobBuffer(_ directive: Directive) throws(ErrorLine) {
        let kind = directive.kind()
        let modes = try directive.modes()
        let bytes = try directive.size()
        if script.directive != nil, let pool = plan.jobBuffers.first?.pool, pool != directive.text("pool") {
            throw ErrorLine(
                "a second pool after \(ErrorLine.name(pool)): Slurm takes all from the last one; write one pool")
        }
        switch kind {
        case .scratch:
            if modes.has(.ldbalance) {
                throw ErrorLine("access_mode=ldbalance is for caches: write type=cache, or striped or private")
            }
        case .cache:
            if modes.has(.private) {
                throw ErrorLine("access_mode=private is for scratch space: write striped or ldbalance for a cache")
            }
            if !directive.has("pfs") { throw ErrorLine("type=cache has no pfs=: write pfs=PATH, what it is to cache") }
        }
        for mode in modes.choices.map(\.mode) {
            guard let other = plan.jobBuffers.first(where: { $0.kind == kind && $0.modes.has(mode) }) else { continue }
            let (sum, over) = other.bytes.addingReportingOverflow(bytes)
            let right = over || sum > CapacityText.bytesMax ? "" : ", as capacity=\(Amount.slurmText(sum))"
            throw ErrorLine(
                "a second \(mode.rawValue) \(kind.rawValue) buffer after \(script.place(other.line)):"
                    + " write one line for both\(right)")
        }
        var path: [UInt8]?
        if let value = directive.values["pfs"] {
            guard case .parallel(let parallel) = try StageSide(value, key: "pfs", mayHoldSymbols: !script.isReplaced)
            else { throw ErrorLine("pfs=\(ErrorLine.name(value)): write a path on the parallel file system") }
            path = parallel
        }
        plan.jobBuffers.append(
            .init(
                line: directive.number, kind: kind, modes: modes, bytes: bytes, pool: directive.text("pool"),
                cachedPath: path, name: directive.has("name") ? try directive.buffer() : nil,
                writeWindowSeconds: directive.number("write_window_length"),
                writeWindowMultiplier: directive.number("write_window_multiplier"),
                strategy: directive.text("optimization_strategy")))
    }

    /// Slurm's plugin reads the number and takes it for GiB whatever unit follows (spec §3.2).
    private mutating func takeSwap(_ directive: Directive) throws(ErrorLine) {
        if let other = plan.swap {
            throw ErrorLine("a second swap after \(script.place(other.line)): write one line")
        }
        let operand = directive.operand ?? []
        let shown = "swap \(ErrorLine.name(operand))"
        let digits = operand.prefix(while: ByteText.isDigit)
        let unit = ByteText.lower(operand[digits.endIndex...])
        guard !digits.isEmpty else { throw ErrorLine("\(shown): write whole GiB for each node, as swap 10GiB") }
        let sizeMax = CapacityText.bytesMax >> 30
        guard let number = ByteText.number(digits), number <= sizeMax else {
            throw ErrorLine("\(shown) is too large: write at most swap \(sizeMax)GiB")
        }
        guard number > 0 else { throw ErrorLine("\(shown): write a number above 0, as swap 10GiB") }
        guard ["", "g", "gb", "gib"].contains(unit) else {
            var right = ", as swap 10GiB"
            if let bytes = try? CapacityText.read(operand, key: "swap"), bytes >= 1 {
                let whole = bytes / (1 << 30) + (bytes % (1 << 30) == 0 ? 0 : 1)
                right = ": write swap \(whole)GiB"
            }
            throw ErrorLine("\(shown): Slurm reads this as \(number) GiB, it takes no other unit\(right)")
        }
        plan.swap = .init(line: directive.number, gibibytesPerNode: number, pool: directive.text("pool"))
    }

    private mutating func takeCreation(_ directive: Directive) throws(ErrorLine) {
        let name = try directive.buffer()
        if let line = createdLines.updateValue(directive.number, forKey: name) { throw again(name, line) }
        let modes = try directive.modes()
        if modes.has(.private) {
            throw ErrorLine("a persistent buffer is never private: write access_mode=striped")
        }
        if modes.has(.ldbalance), directive.kind() == .scratch {
            throw ErrorLine("access_mode=ldbalance is for caches: write access_mode=striped")
        }
        plan.creations.append(
            .init(
                line: directive.number, name: name, bytes: try directive.size(), modes: modes,
                kind: directive.kind(), pool: directive.text("pool")))
    }

    // MARK: What lines say about each other

    mutating func checkTogether() {
        knowsBuffers = faults.isEmpty
        for removal in plan.removals {
            let name = ErrorLine.name(removal.name.text)
            if let line = createdLines[removal.name] {
                fault(
                    removal.line,
                    "destroys \(name), which \(script.place(line)) creates: Slurm does both at once; use two jobs"
                )
            } else if attachedByVariable[removal.name.variable]?.name == removal.name {
                fault(removal.line, "destroys \(name) before this job could use it: use two jobs")
            }
        }
        for (directive, source, destination) in copies {
            do throws(ErrorLine) {
                plan.transfers.append(try transfer(directive, source, destination))
            } catch {
                fault(directive.number, error)
            }
        }
    }

    private func transfer(
        _ directive: Directive, _ source: StageSide, _ destination: StageSide?
    ) throws(ErrorLine) -> StagePlan.Transfer {
        guard let kind = directive.text("type").flatMap(StagePlan.Transfer.Kind.init) else {
            preconditionFailure("type= was checked against the table")
        }
        let direction: StagePlan.Transfer.Direction = directive.rule.verb == .stageIn ? .in : .out
        var transfer = StagePlan.Transfer(
            line: directive.number, direction: direction, kind: kind, source: source, destination: destination)
        if kind == .list {
            try checkList(&transfer)
        } else {
            guard let destination else {
                throw ErrorLine("\(directive.rule.title) has no destination=: write where the \(kind.rawValue) goes")
            }
            try checkSides(&transfer, destination)
        }
        transfer.source = try existing(transfer.source)
        transfer.destination = try transfer.destination.map { side throws(ErrorLine) in try existing(side) }
        if kind != .directory { try nameFile(&transfer) }
        return transfer
    }

    /// The list itself lies on the parallel file system, or, for `stage_out`, in a buffer where the job wrote it.
    private func checkList(_ transfer: inout StagePlan.Transfer) throws(ErrorLine) {
        if case .buffer(_, let path) = transfer.source {
            if transfer.direction == .in {
                throw ErrorLine(
                    "source=\(transfer.source.shown): the list of stage_in is a file on the parallel file system")
            }
            if path.isFolder {
                throw ErrorLine("source=\(transfer.source.shown) is a folder: write the name of the list")
            }
        }
        guard let destination = transfer.destination else { return }
        switch (transfer.direction, destination) {
        case (.in, .parallel(let path)):
            guard let old = oldForm(path) else {
                throw ErrorLine(
                    "destination=\(destination.shown): stage_in copies into a buffer; write $DW_JOB_STRIPED/PATH")
            }
            transfer.destination = old
        case (.out, .buffer):
            throw ErrorLine(
                "destination=\(destination.shown): stage_out copies out of a buffer; write a path from / on")
        case (.in, .buffer), (.out, .parallel): break
        }
    }

    private func checkSides(_ transfer: inout StagePlan.Transfer, _ destination: StageSide) throws(ErrorLine) {
        let isIn = transfer.direction == .in
        switch (isIn ? transfer.source : destination, isIn ? destination : transfer.source) {
        case (.parallel, .buffer): break
        case (.parallel, .parallel(let path)):
            let key = isIn ? "destination" : "source"
            guard let old = oldForm(path) else {
                throw ErrorLine("both sides are on the parallel file system: write \(key)=$DW_JOB_STRIPED/PATH")
            }
            if isIn { transfer.destination = old } else { transfer.source = old }
        case (.buffer, .buffer):
            let key = isIn ? "source" : "destination"
            throw ErrorLine("both sides are in buffers: write \(key)= as a path on the parallel file system")
        case (.buffer, .parallel):
            throw ErrorLine(
                isIn
                    ? "stage_in copies into a buffer: exchange source= and destination=, or write stage_out"
                    : "stage_out copies out of a buffer: exchange source= and destination=, or write stage_in")
        }
    }

    /// Slurm's guide still has the first DataWarp's name of the striped buffer, `/ss/file1`. On a side that must be in
    /// a buffer it cannot be anything else.
    private func oldForm(_ path: [UInt8]) -> StageSide? {
        guard path.elementsEqual("/ss".utf8) || path.starts(with: "/ss/".utf8),
            plan.scratch(.striped) != nil || !knowsBuffers,
            let inner = try? BufferPath(path.dropFirst(3))
        else { return nil }
        return .buffer(.job, inner)
    }

    /// The side with the buffer's own name: in a variable `-` and `.` are `_`.
    private func existing(_ side: StageSide) throws(ErrorLine) -> StageSide {
        guard knowsBuffers, case .buffer(let buffer, let path) = side else { return side }
        switch buffer {
        case .job:
            if plan.scratch(.striped) != nil { return side }
            if plan.scratch(.private) != nil {
                throw ErrorLine("a private buffer is not staged: write access_mode=striped or striped,private in jobdw")
            }
            if !plan.jobBuffers.isEmpty {
                throw ErrorLine("a cache is not staged: write #DW jobdw type=scratch access_mode=striped capacity=SIZE")
            }
            throw ErrorLine("there is no buffer: write #DW jobdw type=scratch access_mode=striped capacity=SIZE")
        case .persistent(let name):
            guard let own = attachedByVariable[name.variable]?.name else {
                let shown = ErrorLine.name(name.text)
                throw ErrorLine("buffer \(shown) is not attached: write #DW persistentdw name=\(shown)")
            }
            return .buffer(.persistent(own), path)
        }
    }

    /// A file that goes into a folder keeps its name; a file is no folder.
    private func nameFile(_ transfer: inout StagePlan.Transfer) throws(ErrorLine) {
        let name: ArraySlice<UInt8>
        switch transfer.source {
        case .parallel(let path): name = path[(path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0)...]
        case .buffer(_, let path):
            name = path.isFolder ? [] : path.bytes[(path.bytes.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0)...]
        }
        guard !name.isEmpty, !name.elementsEqual(".".utf8), !name.elementsEqual("..".utf8) else {
            throw ErrorLine("source=\(transfer.source.shown) is a folder: write type=directory, or the name of a file")
        }
        guard transfer.kind == .file else { return }
        switch transfer.destination {
        case .buffer(let buffer, let path) where path.isFolder:
            transfer.destination = .buffer(buffer, try path.appending(name))
        case .parallel(let path) where path.last == UInt8(ascii: "/"):
            guard path.count + name.count <= DirectiveLimits.pathBytesMax else {
                throw ErrorLine("destination= and the name of the file are too long: write a shorter path")
            }
            transfer.destination = .parallel(path + name)
        default: break
        }
    }
}
