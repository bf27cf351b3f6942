package import BurstEngine
import BurstModel
import BurstSources
import Synchronization

/// Runs `MailProg -s SUBJECT USER` with an empty body and the mail's data in its environment (spec §7.9).
package final class MailPrograms: Mailer {
    private let environment: [String: String]
    private let program: @Sendable () -> String?
    private let log: @Sendable (HookLogLine) -> Void
    private let state = Mutex(State())

    private struct State {
        var waiting: [Mail] = []
        var running = 0
        var isStopped = false
        var tasks: [Int: Task<Void, Never>] = [:]
        var next = 0
    }

    /// - Parameter program: `MailProg`; nil: nobody is mailed.
    package init(
        environment: [String: String], program: @escaping @Sendable () -> String?,
        log: @escaping @Sendable (HookLogLine) -> Void
    ) {
        self.environment = environment
        self.program = program
        self.log = log
    }

    package func send(_ mail: Mail) {
        guard program() != nil else { return }
        let isIn = state.withLock { state in
            guard !state.isStopped, state.waiting.count < DaemonLimits.mailsMax else { return false }
            state.waiting.append(mail)
            return true
        }
        if isIn {
            next()
        } else {
            log(HookLogLine(.error, "mail to \(mail.user) is not sent: \(DaemonLimits.mailsMax) wait already"))
        }
    }

    private func next() {
        state.withLock { state in
            guard !state.isStopped, state.running < DaemonLimits.mailsAtOnce, !state.waiting.isEmpty else { return }
            let mail = state.waiting.removeFirst()
            let number = state.next
            state.next += 1
            state.running += 1
            state.tasks[number] = Task { [self] in
                await run(mail)
                ended(number)
            }
        }
    }

    private func ended(_ number: Int) {
        state.withLock { state in
            state.running -= 1
            state.tasks[number] = nil
        }
        next()
    }

    private func run(_ mail: Mail) async {
        guard let program = program() else { return }
        let runner = SubprocessRunner(
            environment: environment.merging(mail.environment) { _, new in new }, outputMax: 1 << 16)
        let run = await runner.run(
            [program, "-s", mail.subject, mail.user], timeoutSeconds: DaemonLimits.mailSeconds)
        switch run.result.end {
        case .exit(0): break
        case .exit(let status): log(HookLogLine(.error, "\(program) to \(mail.user) ended with status \(status)"))
        case .signal(let signal): log(HookLogLine(.error, "\(program) to \(mail.user) ended of signal \(signal)"))
        case .timedOut:
            log(HookLogLine(.error, "\(program) to \(mail.user) was ended after \(DaemonLimits.mailSeconds) s"))
        case .failed(let why): log(HookLogLine(.error, "mail to \(mail.user): \(why)"))
        }
    }

    /// Those that run may end, for a moment; those that wait are dropped with a line each.
    package func stop() async {
        let (waiting, tasks) = state.withLock { state in
            state.isStopped = true
            defer { state.waiting = [] }
            return (state.waiting, Array(state.tasks.values))
        }
        for mail in waiting { log(HookLogLine(.error, "mail to \(mail.user) is not sent: burstd ended")) }
        let limit = Task {
            try await Task.sleep(for: .seconds(2))
            for task in tasks { task.cancel() }
        }
        for task in tasks { await task.value }
        limit.cancel()
    }
}
