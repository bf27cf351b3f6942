package import BurstModel

/// Plays a recording: the same texts through the same parsers and the same watch. Time is the recording's.
///
/// A sample is a `show burst` with all that was asked until the next one. What a sample shows depends on the recording
/// and
/// the time at which the replay begins only, never on the way by which one came to it.
package final class ReplaySource: BoardSource {
    private let box: DeliveryBox
    private let mailbox = Mailbox<Message>()
    private let replayer: Replayer
    private let speed: Double

    enum Message: Sendable {
        case request(CollectorRequest)
        case tick(Int)
    }

    /// - Parameters:
    ///   - begin: the replay begins with the state at that time; nil: with the first sample.
    ///   - end: it goes no further.
    package init(
        path: String, begin: Timestamp? = nil, end: Timestamp? = nil, speed: Double = 1, viewer: String = "",
        thresholds: RuleThresholds = RuleThresholds(), onChange: @escaping @Sendable () -> Void,
        prepare: @escaping @Sendable (Board) -> Void = { _ in }
    ) throws(RecordingFault) {
        let reader = try RecordingReader(path: path)
        replayer = try Replayer(reader: reader, begin: begin, end: end, viewer: viewer, thresholds: thresholds)
        self.speed = speed
        let source = SourceInfo(kind: .replay, viewer: viewer)
        box = DeliveryBox(
            Delivery(board: Board(source: source, now: reader.startedAt)), prepare: prepare, onChange: onChange)
    }

    /// The state at the time at which the replay begins, for output that is printed and done.
    package func oneShot() -> Delivery {
        var replayer = replayer
        replayer.go(to: replayer.visible.lowerBound)
        box.deliver(replayer.delivery(playing: false, speed: speed), isNew: true)
        return box.latest
    }

    package func start() {
        let (replayer, box, speed) = (replayer, box, speed)
        mailbox.start { [mailbox] messages in
            var loop = ReplayLoop(replayer: replayer, box: box, mailbox: mailbox, speed: speed)
            await loop.run(messages)
        }
    }

    package func stop() async { await mailbox.stop() }
    package func send(_ request: CollectorRequest) { mailbox.send(.request(request)) }
    package func latest() -> Delivery { box.latest }
}

/// The replay's own state, on its own task.
private struct ReplayLoop: ~Copyable {
    private static let refusal = "a replay makes no calls"

    private var replayer: Replayer
    private let box: DeliveryBox
    private let mailbox: Mailbox<ReplaySource.Message>
    private var speed: Double
    private var playing = false
    private var tickNumber = 0
    private var timer: Task<Void, Never>?
    private var notes: [Event] = []

    init(replayer: Replayer, box: DeliveryBox, mailbox: Mailbox<ReplaySource.Message>, speed: Double) {
        self.replayer = replayer
        self.box = box
        self.mailbox = mailbox
        self.speed = min(1000, max(0.1, speed))
    }

    mutating func run(_ messages: AsyncStream<ReplaySource.Message>) async {
        replayer.go(to: replayer.visible.lowerBound)
        deliver()
        for await message in messages {
            if mailbox.isStopped { break }
            switch message {
            case .tick(let number):
                guard number == tickNumber, playing else { continue }
                go(by: 1)
                deliver()
            case .request(.replay(let command)):
                handle(command)
                deliver()
            case .request(.note(let event)):
                notes.append(event)
                if notes.count > 100 { notes.removeFirst() }
                deliver()
            case .request(let request):
                var delivery = box.latest
                RecordedState.refuse(request, Self.refusal, at: delivery.board.now, in: &delivery)
                box.deliver(delivery, isNew: false)
            }
        }
        timer?.cancel()
    }

    private mutating func handle(_ command: ReplayCommand) {
        switch command {
        case .step(let count):
            playing = false
            go(by: count)
        case .play: playing = replayer.frame + 1 < replayer.visible.upperBound
        case .pause: playing = false
        case .toggle: playing = !playing && replayer.frame + 1 < replayer.visible.upperBound
        case .speed(let times): if times.isFinite { speed = min(1000, max(0.1, times)) }
        case .seek(let time): replayer.go(to: replayer.frame(at: time))
        }
        arm()
    }

    private mutating func go(by count: Int) {
        let (first, last) = (replayer.visible.lowerBound, replayer.visible.upperBound - 1)
        // A step far beyond either end is no overflow.
        let wish = Double(replayer.frame) + Double(count)
        replayer.go(to: wish < Double(first) ? first : wish > Double(last) ? last : replayer.frame + count)
        if replayer.frame == last { playing = false }
        arm()
    }

    private mutating func arm() {
        timer?.cancel()
        tickNumber += 1
        guard playing else { return }
        let wait = Double(replayer.millisecondsToNext) / speed
        timer = Task { [mailbox, tickNumber] in
            guard (try? await Task.sleep(for: .milliseconds(Int64(wait)))) != nil else { return }
            mailbox.send(.tick(tickNumber))
        }
    }

    private mutating func deliver() {
        var delivery = replayer.delivery(playing: playing, speed: speed)
        delivery.board.events += notes
        box.deliver(delivery, isNew: true)
    }
}

/// Goes about in a recording.
struct Replayer: Sendable {
    /// Samples before the beginning that are read for their history.
    static let warmUpMax = 2000
    /// States kept all along the recording, and those near the place where the replay stands.
    static let checkpointsMax = 128
    static let nearMin = 16
    /// What all of them may take, by estimate: so many times the largest texts that a state was made from.
    static let bytesMax = 256 << 20
    static let stateFactor = 10
    static let statesMin = 8

    private var reader: RecordingReader
    private let frames: [Range<Int>]
    private let times: [Timestamp]
    private let empty: RecordedState
    private let firstRead: Int
    /// Samples that can be seen.
    let visible: Range<Int>
    private var spacing = 8
    private var largest = 0

    /// The sample at which the replay stands; -1 before the first.
    private(set) var frame: Int
    private var state: RecordedState
    private var checkpoints: [Int: RecordedState] = [:]
    private var near: [Int: RecordedState] = [:]
    /// A state on its way to where steps back will need it.
    private var ahead: (frame: Int, state: RecordedState)?

    init(
        reader: RecordingReader, begin: Timestamp?, end: Timestamp?, viewer: String, thresholds: RuleThresholds
    ) throws(RecordingFault) {
        var frames: [Range<Int>] = []
        var start = 0
        var hasBurst = false
        for (index, entry) in reader.entries.enumerated() where entry.call == .burst {
            if hasBurst {
                frames.append(start..<index)
                start = index
            }
            hasBurst = true
        }
        if start < reader.entries.count { frames.append(start..<reader.entries.count) }
        guard !frames.isEmpty else {
            throw RecordingFault(path: reader.path, line: 0, message: "holds no samples yet")
        }
        // A wall clock that was set back meanwhile does not turn the order round.
        var latest = Timestamp(milliseconds: .min)
        let times = frames.map { range in
            latest = max(latest, reader.entries[range].map(\.endedAt).max()!)
            return latest
        }
        let first = begin.flatMap { begin in times.lastIndex { $0 <= begin } } ?? 0
        let last = end.map { end in times.lastIndex { $0 <= end } ?? -1 } ?? frames.count - 1
        let isBeyond =
            begin.map { $0 > times[times.count - 1] && $0.seconds(since: times[times.count - 1]) > 3600 } ?? false
        guard first <= last, !isBeyond else {
            throw RecordingFault(
                path: reader.path, line: 0,
                message:
                    "holds nothing for that time: it covers \(times[0].rfc3339) to \(times[times.count - 1].rfc3339)")
        }
        self.reader = reader
        self.frames = frames
        self.times = times
        visible = first..<(last + 1)
        firstRead = max(0, first - Self.warmUpMax)
        empty = RecordedState(reader: reader, viewer: viewer, thresholds: thresholds)
        state = empty
        frame = firstRead - 1
    }

    /// The sample that shows the state at a time.
    func frame(at time: Timestamp) -> Int { visible.last { times[$0] <= time } ?? visible.lowerBound }

    var millisecondsToNext: Int64 {
        frame + 1 < visible.upperBound ? max(0, times[frame + 1].milliseconds - times[frame].milliseconds) : 0
    }

    mutating func go(to target: Int) {
        guard target != frame else { return }
        let isStepBack = target == frame - 1
        // Forward from here, or from a state kept, whichever is the nearest.
        var start = frame <= target ? frame : firstRead - 1
        var from = frame <= target ? state : empty
        if let kept = (near.keys.filter { $0 <= target && $0 > start }).max() { (start, from) = (kept, near[kept]!) }
        if let kept = (checkpoints.keys.filter { $0 <= target && $0 > start }).max() {
            (start, from) = (kept, checkpoints[kept]!)
        }
        (frame, state) = (start, from)
        while frame < target {
            state = next(frame + 1, after: state)
            frame += 1
            keep(frame, state)
        }
        if isStepBack { prepareStepsBack() }
    }

    private mutating func next(_ frame: Int, after before: RecordedState) -> RecordedState {
        var state = before
        for index in frames[frame] { state.take(index, of: &reader) }
        largest = max(largest, state.textBytes)
        return state
    }

    private mutating func keep(_ place: Int, _ state: RecordedState) {
        if (place - firstRead) % spacing == 0 { checkpoints[place] = state } else { near[place] = state }
        let affordable = max(Self.statesMin, Self.bytesMax / (largest * Self.stateFactor + 1))
        if checkpoints.count > min(Self.checkpointsMax, affordable / 2) {
            spacing *= 2
            checkpoints = checkpoints.filter { ($0.key - firstRead) % spacing == 0 }
        }
        // Those furthest from where steps back will need them go first.
        while near.count > min(affordable, max(Self.nearMin, 2 * spacing)) {
            let middle = frame - spacing
            let furthest = near.keys.max { abs($0 - middle) < abs($1 - middle) }
            near[furthest!] = nil
        }
    }

    /// A step back needs the state before; where none is kept it is made from the checkpoint before it. That work is
    /// done
    /// a little at a time, during the steps for which there still are states.
    private mutating func prepareStepsBack() {
        var low = frame
        while low > firstRead, near[low - 1] != nil || checkpoints[low - 1] != nil { low -= 1 }
        guard low > firstRead else { return }
        let goal = low - 1
        var (place, from) = ahead ?? (-1, empty)
        if ahead == nil || place >= goal || goal - place > spacing {
            guard let kept = (checkpoints.keys.filter { $0 < goal }).max() else { return }
            (place, from) = (kept, checkpoints[kept]!)
        }
        let steps = max(1, frame - low)
        for _ in 0..<((goal - place + steps - 1) / steps) {
            from = next(place + 1, after: from)
            place += 1
            keep(place, from)
        }
        ahead = place < goal ? (place, from) : nil
    }

    mutating func delivery(playing: Bool, speed: Double) -> Delivery {
        // A copy: asking for a board must not change what later samples show.
        var state = state
        var delivery = state.delivery(at: times[frame], newest: frames[frame].upperBound - 1, of: reader)
        delivery.replay = ReplayPosition(
            time: times[frame], first: times[visible.lowerBound], last: times[visible.upperBound - 1],
            index: frame - visible.lowerBound, count: visible.count, playing: playing, speed: speed)
        return delivery
    }
}
