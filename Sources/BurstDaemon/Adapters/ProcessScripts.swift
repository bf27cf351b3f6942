package import BurstEngine
import BurstModel
import BurstSteps

/// The runner of batch scripts behind the driver's door.
package final class ProcessScripts: Steps {
    private let steps: ProcessSteps

    /// - Parameters:
    ///   - program: the path of burst-stepd.
    ///   - spool: a folder that owners of scripts may enter.
    package init(program: String, spool: String) throws(StateFault) {
        do throws(StepFault) {
            steps = try ProcessSteps(program: program, spool: spool)
        } catch {
            throw StateFault(error.description)
        }
    }

    package func start(_ order: ScriptOrder) throws(StateFault) {
        let job = order.job
        do throws(StepFault) {
            try steps.start(
                StepOrder(
                    jobID: job.id, uid: job.uid, gid: job.gid, userName: job.userName, workDir: job.workDir,
                    script: .file(order.script), arguments: job.arguments, stdin: order.standardInput,
                    stdout: order.standardOutput,
                    stderr: order.standardError, appends: job.appendsOutput, environment: order.environment,
                    killWaitSeconds: order.killWaitSeconds, folder: order.folder))
        } catch {
            throw StateFault(error.description)
        }
    }

    package func control(_ job: UInt32, _ control: StepControl, notice: String?) {
        let signal: StepSignal =
            switch control {
            case .end: .end(notice: notice)
            case .suspend: .suspend
            case .resume: .resume
            case .signal(let number, let batchOnly): batchOnly ? .script(number) : .all(number)
            }
        steps.signal(jobID: job, signal)
    }

    package func adopt(_ job: UInt32, folder: String) -> AdoptedStep {
        switch steps.adopt(jobID: job, folder: folder) {
        case .running: .running
        case .ended(let end): .ended(Self.ended(job, end))
        case .neverStarted: .neverStarted
        }
    }

    package var endings: AsyncStream<EndedStep> {
        let endings = steps.endings
        return AsyncStream { continuation in
            let task = Task {
                for await ending in endings { continuation.yield(Self.ended(ending.jobID, ending.end)) }
                continuation.finish()
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    package func stop() { steps.stop() }

    private static func ended(_ job: UInt32, _ end: StepEnd) -> EndedStep {
        switch end {
        case .ended(let result):
            let status = UInt32(result.exitCode) << 8 | UInt32(result.signal) & 0x7f
            return EndedStep(
                job: job, result: .ended(status: status, at: Timestamp(milliseconds: result.endedAt / 1000)),
                note: result.note)
        case .lost: return EndedStep(job: job, result: .lost)
        case .couldNotStart(let why): return EndedStep(job: job, result: .notStarted(why), note: why)
        }
    }
}
