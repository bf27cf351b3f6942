import BurstEngine
import BurstModel
import BurstWire
import Synchronization

/// Pushes to those who subscribed: only what changed, never more often than they want, and never behind a push that
/// they
/// have not taken yet.
package final class Publisher: Sendable {
    private struct Subscriber {
        let client: any Client
        let subscription: Subscription
        let caller: Caller
        let interval: Int64
        var lastAt: Int64 = .min / 2
        var seenVersion: UInt64 = 0
        /// What was pushed last, by kind, so that only what changed is pushed.
        var last: [Kind: [UInt8]] = [:]
        /// Pushes that the client has not taken yet.
        var undrained: Set<Kind> = []
        var calls: [[UInt8]] = []
    }

    private enum Kind: Hashable, CaseIterable { case burst, queue, extras, call, staging }

    /// One rendering serves all who see the same.
    private struct Sight: Hashable {
        var kind: Kind
        var queue: Show.Queue?
        /// Nil: sees everything.
        var uid: UInt32?
    }

    private struct State {
        var subscribers: [UInt64: Subscriber] = [:]
        var isStopped = false
        var loop: Task<Void, Never>?
    }

    private let texts: any Texts
    private let kitchen: Kitchen
    /// Renders what the stager shows; nil: there is none.
    private let staging = Mutex<(@Sendable (Caller, @escaping @Sendable ([UInt8]) -> Void) -> Void)?>(nil)
    private let state = Mutex(State())
    private let (wakes, waker) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))

    /// Milliseconds after which texts that show times are rendered even if nothing was decided.
    static let refreshMilliseconds: Int64 = 1000

    init(texts: any Texts, kitchen: Kitchen) {
        self.texts = texts
        self.kitchen = kitchen
    }

    /// Pushes from now on what a stager shows, too.
    func show(staging: @escaping @Sendable (Caller, @escaping @Sendable ([UInt8]) -> Void) -> Void) {
        self.staging.withLock { $0 = staging }
    }

    // MARK: Subscribers

    /// - Parameter isIn: called before anything is pushed; it must not wait.
    /// - Returns: false where too many have subscribed.
    func add(_ client: any Client, _ subscription: Subscription, _ caller: Caller, isIn tell: () -> Void) -> Bool {
        let isIn = state.withLock { state in
            guard state.subscribers[client.number] != nil || state.subscribers.count < DaemonLimits.subscribersMax
            else { return false }
            state.subscribers[client.number] = Subscriber(
                client: client, subscription: subscription, caller: caller,
                interval: Int64(max(Subscription.intervalMillisecondsMin, subscription.intervalMilliseconds)))
            tell()
            return true
        }
        if isIn { waker.yield() }
        return isIn
    }

    func remove(_ client: UInt64) {
        state.withLock { _ = $0.subscribers.removeValue(forKey: client) }
    }

    /// Calls that began or ended.
    func called(_ calls: [TracedCall], sees: (UInt32?, Caller) -> Bool) {
        let wants = state.withLock { state in
            var wants = false
            for (number, subscriber) in state.subscribers where subscriber.subscription.calls {
                for call in calls where sees(call.start.jobID, subscriber.caller) {
                    state.subscribers[number]?.calls.append(Documents.json(Documents.call(call)))
                    wants = true
                }
                let over = (state.subscribers[number]?.calls.count ?? 0) - DaemonLimits.pushedCallsMax
                if over > 0 { state.subscribers[number]?.calls.removeFirst(over) }
            }
            return wants
        }
        if wants { waker.yield() }
    }

    // MARK: The loop

    /// - Parameters:
    ///   - version: grows when something changed.
    ///   - view: gives the values as they are to the closure.
    func start(
        version: @escaping @Sendable () -> UInt64,
        view: @escaping @Sendable (Caller, @escaping @Sendable (EngineView) -> Void) -> Void,
        now: @escaping @Sendable () -> Timestamp
    ) {
        let loop = Task { [self] in
            for await _ in wakes {
                while let pause = await round(version: version, view: view, now: now) {
                    try? await Task.sleep(for: .milliseconds(pause))
                    if Task.isCancelled { return }
                }
            }
        }
        state.withLock { $0.loop = loop }
    }

    func stop() async {
        let loop = state.withLock { state in
            state.isStopped = true
            state.subscribers = [:]
            return state.loop
        }
        waker.finish()
        loop?.cancel()
        await loop?.value
    }

    /// Pushes what is due.
    /// - Returns: milliseconds to the next time; nil: nobody subscribes.
    private func round(
        version: @Sendable () -> UInt64,
        view: @Sendable (Caller, @escaping @Sendable (EngineView) -> Void) -> Void, now: @Sendable () -> Timestamp
    ) async -> Int64? {
        let at = Self.monotonic()
        let current = version()
        let due: [(number: UInt64, sights: [Sight], caller: Caller)]? = state.withLock { state in
            guard !state.subscribers.isEmpty, !state.isStopped else { return nil }
            var due: [(UInt64, [Sight], Caller)] = []
            for (number, subscriber) in state.subscribers where at - subscriber.lastAt >= subscriber.interval {
                guard
                    subscriber.seenVersion != current || !subscriber.calls.isEmpty
                        || at - subscriber.lastAt >= Self.refreshMilliseconds
                else { continue }
                due.append((number, Self.sights(subscriber), subscriber.caller))
            }
            return due
        }
        guard let due else { return nil }
        if !due.isEmpty {
            var rendered: [Sight: [UInt8]] = [:]
            let values = await Self.take(view, due[0].caller)
            for (_, sights, caller) in due {
                for sight in sights where rendered[sight] == nil {
                    var values = values
                    values.caller = caller
                    rendered[sight] = sight.kind == .staging ? await showStaging(caller) : await cook(sight, values)
                }
            }
            push(due.map { ($0.number, $0.sights) }, rendered, version: current, at: at, now())
        }
        return state.withLock { state in
            state.subscribers.values.map { max(10, $0.interval - (Self.monotonic() - $0.lastAt)) }.min()
        }
    }

    private static func sights(_ subscriber: Subscriber) -> [Sight] {
        let uid = subscriber.caller.isOperator ? nil : subscriber.caller.uid
        var sights: [Sight] = []
        let subscription = subscriber.subscription
        if subscription.burst { sights.append(Sight(kind: .burst, uid: uid)) }
        if let queue = subscription.queue { sights.append(Sight(kind: .queue, queue: queue, uid: uid)) }
        if subscription.extras { sights.append(Sight(kind: .extras, uid: uid)) }
        if subscription.staging == true { sights.append(Sight(kind: .staging, uid: uid)) }
        return sights.filter { !subscriber.undrained.contains($0.kind) }
    }

    private static func take(
        _ view: @Sendable (Caller, @escaping @Sendable (EngineView) -> Void) -> Void, _ caller: Caller
    ) async -> EngineView {
        await withCheckedContinuation { continuation in view(caller) { continuation.resume(returning: $0) } }
    }

    private func cook(_ sight: Sight, _ view: EngineView) async -> [UInt8]? {
        await withCheckedContinuation { continuation in
            kitchen.cook { [texts] in continuation.resume(returning: Self.render(sight, view, texts)) }
        }
    }

    private func showStaging(_ caller: Caller) async -> [UInt8]? {
        guard let staging = staging.withLock({ $0 }) else { return nil }
        return await withCheckedContinuation { continuation in
            staging(caller) { continuation.resume(returning: $0) }
        }
    }

    private static func render(_ sight: Sight, _ view: EngineView, _ texts: any Texts) -> [UInt8]? {
        switch sight.kind {
        case .burst: return try? texts.show(.burst(oneLine: false, verbose: true), view)
        case .queue: return sight.queue.flatMap { try? texts.show(.queue($0), view) }
        case .extras: return Documents.json(Documents.extras(view))
        case .call, .staging: return nil
        }
    }

    private func push(
        _ due: [(number: UInt64, sights: [Sight])], _ rendered: [Sight: [UInt8]], version: UInt64, at: Int64,
        _ now: Timestamp
    ) {
        for (number, sights) in due {
            var pushes: [(any Client, Kind, [UInt8])] = []
            state.withLock { state in
                guard var subscriber = state.subscribers[number] else { return }
                subscriber.lastAt = at
                // A push that is left out because of an undrained one is made up for.
                if subscriber.undrained.isEmpty { subscriber.seenVersion = version }
                for sight in sights {
                    guard let body = rendered[sight], subscriber.last[sight.kind] != body else { continue }
                    subscriber.last[sight.kind] = body
                    subscriber.undrained.insert(sight.kind)
                    pushes.append((subscriber.client, sight.kind, body))
                }
                if !subscriber.undrained.contains(.call), !subscriber.calls.isEmpty {
                    subscriber.undrained.insert(.call)
                    for call in subscriber.calls { pushes.append((subscriber.client, .call, call)) }
                    subscriber.calls = []
                }
                state.subscribers[number] = subscriber
            }
            let lastCall = pushes.lastIndex { $0.1 == .call }
            for (index, (client, kind, body)) in pushes.enumerated() {
                let push: Push =
                    switch kind {
                    case .burst: .burst(at: now.milliseconds)
                    case .queue: .queue(at: now.milliseconds)
                    case .extras: .extras(at: now.milliseconds)
                    case .call: .call(at: now.milliseconds)
                    case .staging: .staging(at: now.milliseconds)
                    }
                // Of several calls the last one tells when all are taken.
                guard kind != .call || index == lastCall else {
                    client.tell(.push(push), body: body, onSent: nil)
                    continue
                }
                client.tell(.push(push), body: body) { [self] in
                    state.withLock { _ = $0.subscribers[number]?.undrained.remove(kind) }
                }
            }
        }
    }

    private static func monotonic() -> Int64 {
        SystemTime.monotonicMilliseconds()
    }
}
