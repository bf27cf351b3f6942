package import BurstEngine
package import BurstHooks
import BurstSteps

/// `dw_wlm_cli` and `dwstat` behind the driver's door.
package final class DataWarpCalls: Hooks {
    private let runner: ProgramHooks
    private let answers: CallAnswers
    private let people = People()

    /// - Parameters:
    ///   - programs: `GetSysState` and `GetSysStatus` as they are configured now.
    ///   - state: the state folder.
    package init(
        programs: @escaping @Sendable () -> ProgramHooks.Programs, state: String, environment: [String: String]
    ) {
        let answers = CallAnswers()
        // What an earlier life left at work when it was killed would be at odds with what is done now.
        let mark = "BURST_HOOKS=\(state)"
        Leftovers.kill(carrying: mark)
        runner = ProgramHooks(
            programs: programs, environment: environment.map { "\($0)=\($1)" }.sorted() + [mark],
            standIn: EnginePaths.noScript(in: state), answer: { call, answer in answers.came(call, answer) })
        self.answers = answers
    }

    package func run(_ call: HookCall) async -> HookAnswer {
        await withCheckedContinuation { continuation in
            answers.wait(for: call.id, continuation)
            runner.start(call)
        }
    }

    package func kill(_ call: CallID) { runner.kill(call) }
    /// Like Slurm: a program that is not there fails each call with a line that says so.
    package func check() async -> String? { nil }
    package func readPools(_ document: String) -> PoolsReading { SiteDocument.pools(document) }
    package func readSite(_ function: HookFunction, _ document: String) -> SiteReading {
        SiteDocument.read(function, document) { [people] in people.user(uid: $0)?.name }
    }
    package func stop() async { await runner.stop() }
}
