package import BurstModel
import Glibc

/// Follows a recording that another process writes, so that many viewers cost one poller. Makes no calls of its own.
package final class FollowSource: BoardSource {
    /// Seconds between two looks at the file.
    package static let lookSeconds = 1
    /// How long nothing new may come before that is told: three times the usual pace, within these limits.
    package static let silenceSeconds = 60...600
    /// How far back the file is read at the start.
    package static let historySeconds = 24 * 3600

    private let box: DeliveryBox
    private let mailbox = Mailbox<Message>()
    private let parts: Parts

    enum Message: Sendable {
        case request(CollectorRequest)
        case look
    }

    struct Parts: Sendable {
        let reader: RecordingReader
        let viewer: String
        let thresholds: RuleThresholds
        let clock: SourceClock
    }

    package init(
        path: String, viewer: String = "", thresholds: RuleThresholds = RuleThresholds(), clock: SourceClock = .system,
        onChange: @escaping @Sendable () -> Void,
        prepare: @escaping @Sendable (Board) -> Void = { _ in }
    ) throws(RecordingFault) {
        parts = Parts(
            reader: try RecordingReader(path: path), viewer: viewer, thresholds: thresholds, clock: clock)
        let source = SourceInfo(kind: .slurm, viewer: viewer)
        box = DeliveryBox(
            Delivery(board: Board(source: source, now: clock.now())), prepare: prepare, onChange: onChange)
    }

    package func start() {
        let (parts, box) = (parts, box)
        mailbox.start { [mailbox] messages in
            let looker = Task {
                while (try? await parts.clock.sleep(Int64(Self.lookSeconds) * 1000)) != nil { mailbox.send(.look) }
            }
            var loop = FollowLoop(parts: parts, box: box, mailbox: mailbox)
            await loop.run(messages)
            looker.cancel()
        }
    }

    package func stop() async { await mailbox.stop() }
    package func send(_ request: CollectorRequest) { mailbox.send(.request(request)) }
    package func latest() -> Delivery { box.latest }
}

/// The follower's own state, on its own task.
private struct FollowLoop: ~Copyable {
    private static let refusal = "this burstmon follows a recording and makes no calls"

    private let parts: FollowSource.Parts
    private let box: DeliveryBox
    private let mailbox: Mailbox<FollowSource.Message>
    private var reader: RecordingReader
    private var state: RecordedState
    private var lastNews: Timestamp
    private var lastComplaint: Timestamp?
    private var suspended = false

    init(parts: FollowSource.Parts, box: DeliveryBox, mailbox: Mailbox<FollowSource.Message>) {
        self.parts = parts
        self.box = box
        self.mailbox = mailbox
        reader = parts.reader
        state = RecordedState(
            reader: reader, kind: .slurm, viewer: parts.viewer, thresholds: parts.thresholds)
        lastNews = reader.entries.last?.endedAt ?? reader.startedAt
    }

    mutating func run(_ messages: AsyncStream<FollowSource.Message>) async {
        let since = parts.clock.now().adding(seconds: -FollowSource.historySeconds)
        // However old it is, the newest of each kind is what the recording has to say.
        let newest = [Call.burst, .jobs, .config].compactMap { call in reader.entries.lastIndex { $0.call == call } }
        for index in reader.entries.indices
        where (reader.entries[index].startedAt >= since || newest.contains(index)) && !mailbox.isStopped {
            state.take(index, of: &reader)
        }
        // One that was left long ago is stale from the first board on: whoever asks only once must see it, too.
        _ = complain(parts.clock.now())
        deliver()
        for await message in messages {
            if mailbox.isStopped { break }
            switch message {
            case .look: if !suspended, look() { deliver() }
            case .request(.suspended(let isSuspended)): suspended = isSuspended
            case .request(.refresh): if look() { deliver() }
            case .request(.acknowledge(let id)):
                state.acknowledge(id, at: parts.clock.now())
                deliver()
            case .request(.note(let event)):
                state.note(event)
                deliver()
            case .request(let request):
                var delivery = box.latest
                RecordedState.refuse(request, Self.refusal, at: parts.clock.now(), in: &delivery)
                box.deliver(delivery, isNew: false)
            }
        }
    }

    /// - Returns: whether there is anything new.
    private mutating func look() -> Bool {
        var isNew = takeNew()
        var status = stat()
        let isThere = stat(reader.path, &status) == 0
        if isThere, UInt64(status.st_ino) != reader.inode || Int64(status.st_size) < reader.bytesRead {
            // The writer has turned the file over; its new one may not have its first line yet.
            if let next = try? RecordingReader(path: reader.path) {
                isNew = takeNew() || isNew
                reader = next
                for index in reader.entries.indices { state.take(index, of: &reader) }
                isNew = isNew || !reader.entries.isEmpty
            }
        }
        let now = parts.clock.now()
        if isNew {
            lastNews = now
            lastComplaint = nil
            return true
        }
        return complain(now)
    }

    private mutating func takeNew() -> Bool {
        do throws(RecordingFault) {
            let range = try reader.readMore()
            for index in range { state.take(index, of: &reader) }
            return !range.isEmpty
        } catch {
            state.note(error, at: parts.clock.now())
            return true
        }
    }

    /// A recording that does not grow says nothing about the controller, and old data must not look live.
    private mutating func complain(_ now: Timestamp) -> Bool {
        let limits = FollowSource.silenceSeconds
        let starts = reader.entries.suffix(200).filter { $0.call == .burst }.suffix(2).map(\.startedAt)
        let pace = starts.count == 2 ? 3 * starts[1].seconds(since: starts[0]) : limits.lowerBound
        let limit = min(limits.upperBound, max(limits.lowerBound, pace))
        guard now.seconds(since: lastNews) >= limit, now.seconds(since: lastComplaint ?? lastNews) >= limits.lowerBound
        else { return false }
        lastComplaint = now
        let silence = Age.long(seconds: now.seconds(since: lastNews))
        state.ingest(
            Sample(
                call: .burst, arguments: Call.burst.arguments(), startedAt: now, durationMilliseconds: 0,
                answer: .failure("nothing new in \(reader.path) for \(silence); does its recorder still run?")))
        return true
    }

    private mutating func deliver() {
        let before = box.latest
        var delivery = state.delivery(at: parts.clock.now(), newest: reader.entries.count - 1, of: reader)
        // Answers of this program to wishes that it cannot fulfil stay.
        delivery.cancels += before.cancels.filter { $0.arguments.isEmpty && !delivery.cancels.contains($0) }
        box.deliver(delivery, isNew: true)
    }
}
