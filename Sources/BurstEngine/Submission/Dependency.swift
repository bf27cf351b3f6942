/// What a job waits for: `afterok:1:2,afterany:3`, `singleton` (sbatch(1), --dependency; spec §7.8).
package struct Dependency: Hashable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case after, afterany, afterok, afternotok, afterburstbuffer, aftercorr, singleton
    }

    /// A job, or one or all tasks of an array.
    package struct Target: Hashable, Sendable {
        package enum Tasks: Hashable, Sendable {
            case none
            case task(UInt32)
            case all
        }

        package var job: UInt32
        package var tasks: Tasks = .none
        /// Of `after` only: minutes from the job's start.
        package var delayMinutes: UInt32 = 0
    }

    package struct Item: Hashable, Sendable {
        package var kind: Kind
        /// Nil for `singleton`.
        package var target: Target?
    }

    package var items: [Item]
    /// Every item has to be satisfied (`,`), or one is enough (`?`).
    package var needsAll: Bool

    package static let itemsMax = 1000

    /// - Throws: `dependency` with a line that says what is wrong.
    package init(_ text: String) throws(SubmissionFault) {
        func refuse(_ why: String) -> SubmissionFault {
            SubmissionFault(.dependency, ["--dependency: \(PlainText.quoted(text)): \(why)"])
        }
        let bytes = Array(text.utf8)
        let hasAny = bytes.contains(UInt8(ascii: "?"))
        guard !hasAny || !bytes.contains(UInt8(ascii: ",")) else {
            throw refuse("write either , (all of them) or ? (one of them) between items, not both")
        }
        needsAll = !hasAny
        items = []
        for part in bytes.split(
            separator: hasAny ? UInt8(ascii: "?") : UInt8(ascii: ","), omittingEmptySubsequences: false)
        {
            let words = part.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
            let name = words[0].lowercased()
            guard let kind = Kind(rawValue: name) else {
                let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
                throw refuse("\(PlainText.quoted(words[0])) is unknown: write one of \(known)")
            }
            if kind == .singleton {
                guard words.count == 1 else { throw refuse("singleton takes no job id") }
                items.append(Item(kind: kind, target: nil))
                continue
            }
            guard words.count > 1 else { throw refuse("\(name) needs a job id: write \(name):123") }
            for word in words.dropFirst() {
                guard let target = Self.target(word, kind) else {
                    throw refuse("\(PlainText.quoted(word)) is no job id: write 123, 123_4 or 123_*")
                }
                items.append(Item(kind: kind, target: target))
            }
            guard items.count <= Self.itemsMax else { throw refuse("more than \(Self.itemsMax) jobs: write fewer") }
        }
    }

    private static func target(_ word: String, _ kind: Kind) -> Target? {
        var text = Array(word.utf8)[...]
        var delay: UInt32 = 0
        if let plus = text.firstIndex(of: UInt8(ascii: "+")) {
            guard kind == .after, let minutes = number(text[(plus + 1)...]) else { return nil }
            delay = minutes
            text = text[..<plus]
        }
        var tasks = Target.Tasks.none
        if let line = text.firstIndex(of: UInt8(ascii: "_")) {
            let behind = text[(line + 1)...]
            if behind.elementsEqual("*".utf8) {
                tasks = .all
            } else if let task = number(behind) {
                tasks = .task(task)
            } else {
                return nil
            }
            text = text[..<line]
        }
        guard let job = number(text), job > 0 else { return nil }
        return Target(job: job, tasks: tasks, delayMinutes: delay)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt32? {
        guard (1...10).contains(digits.count), digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return UInt32(String(decoding: digits, as: UTF8.self))
    }

    // MARK: Satisfied or not

    /// What is known of a job that others wait for; of several tasks, all of them taken together.
    package struct Facts: Hashable, Sendable {
        package var isFinal: Bool
        /// Final, and the exit status was 0.
        package var succeeded: Bool
        /// Its stage-out and teardown are over, or it has no buffer.
        package var bufferDone: Bool
        package var usesBuffer: Bool
        /// Minutes since its start, or since it was cancelled before; nil: neither.
        package var minutesSinceStart: UInt32?

        package init(
            isFinal: Bool, succeeded: Bool, bufferDone: Bool, usesBuffer: Bool, minutesSinceStart: UInt32?
        ) {
            self.isFinal = isFinal
            self.succeeded = succeeded
            self.bufferDone = bufferDone
            self.usesBuffer = usesBuffer
            self.minutesSinceStart = minutesSinceStart
        }
    }

    package enum Verdict: Hashable, Sendable {
        case satisfied
        case waits
        /// It will never be: `DependencyNeverSatisfied`.
        case never
    }

    /// - Parameters:
    ///   - usesBuffer: the job that waits asks for a burst buffer. Then `afterany`, `afterok`, `afternotok` and
    ///     `aftercorr` of a job with a buffer wait for the end of its stage-out too, as the guide promises; Slurm
    ///     does not wait (spec §10, Q1).
    ///   - task: of the job that waits, for `aftercorr`.
    ///   - isOnlyOne: no earlier job of the same name and user is unfinished, for `singleton`.
    ///   - facts: nil for a job that is not known, or no longer: it holds nobody up.
    package func verdict(
        usesBuffer: Bool, task: UInt32?, isOnlyOne: Bool, facts: (Target) -> Facts?
    ) -> Verdict {
        let verdicts = items.map {
            Self.verdict($0, usesBuffer: usesBuffer, task: task, isOnlyOne: isOnlyOne, facts: facts)
        }
        if needsAll {
            if verdicts.contains(.never) { return .never }
            return verdicts.contains(.waits) ? .waits : .satisfied
        }
        if verdicts.contains(.satisfied) { return .satisfied }
        return verdicts.contains(.waits) ? .waits : .never
    }

    private static func verdict(
        _ item: Item, usesBuffer: Bool, task: UInt32?, isOnlyOne: Bool, facts: (Target) -> Facts?
    ) -> Verdict {
        guard var target = item.target else { return isOnlyOne ? .satisfied : .waits }
        if item.kind == .aftercorr, target.tasks == .none, let task { target.tasks = .task(task) }
        guard let job = facts(target) else { return .satisfied }
        let isOver = job.isFinal && (!usesBuffer || !job.usesBuffer || job.bufferDone)
        switch item.kind {
        case .after:
            guard let minutes = job.minutesSinceStart else { return job.isFinal ? .satisfied : .waits }
            return minutes >= target.delayMinutes ? .satisfied : .waits
        case .afterany: return isOver ? .satisfied : .waits
        case .afterok, .aftercorr:
            if job.isFinal, !job.succeeded { return .never }
            return isOver ? .satisfied : .waits
        case .afternotok:
            if job.isFinal, job.succeeded { return .never }
            return isOver ? .satisfied : .waits
        case .afterburstbuffer: return job.isFinal && job.bufferDone ? .satisfied : .waits
        case .singleton: return isOnlyOne ? .satisfied : .waits
        }
    }

    /// As `scontrol show job` prints what is left, each item with how it stands.
    package func text(_ state: (Item) -> String) -> String {
        items.map { item in
            guard let target = item.target else { return "\(item.kind.rawValue)(\(state(item)))" }
            var text = "\(item.kind.rawValue):\(target.job)"
            switch target.tasks {
            case .none: break
            case .task(let task): text += "_\(task)"
            case .all: text += "_*"
            }
            if target.delayMinutes > 0 { text += "+\(target.delayMinutes)" }
            return text + "(\(state(item)))"
        }.joined(separator: needsAll ? "," : "?")
    }
}
