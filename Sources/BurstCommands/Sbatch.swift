import BurstClient
import BurstEngine
import BurstModel
import BurstWire

/// `sbatch`: submits, and prints what Slurm's sbatch prints (spec §3.3, §3.4).
package enum Sbatch {
    package static func run(_ invocation: Invocation) -> Int32 {
        if invocation.answersAboutItself(usage: usage) { return 0 }
        let order: BatchOrder
        do throws(BatchOrder.Fault) {
            order = try BatchOrder(invocation, now: Invocation.now(), zone: .client)
        } catch {
            for line in error.lines { invocation.console.complain("\(invocation.name): error: \(line)") }
            return error.exitStatus
        }
        return submit(order, invocation)
    }

    private static func submit(_ order: BatchOrder, _ invocation: Invocation) -> Int32 {
        let console = invocation.console
        func fail(_ text: String) -> Int32 {
            console.complain("\(invocation.name): error: Batch job submission failed: \(text)")
            return 1
        }
        let answer: Answer
        do throws(ClientError) {
            answer = try invocation.ask(
                .submit(order.submission), body: order.script, seconds: Invocation.hookSeconds
            ).0
        } catch {
            return fail(error.slurm.text)
        }
        switch answer {
        case .submitted(_, let job, let notes):
            for note in notes { console.complain("\(invocation.name): \(note)") }
            if order.submission.testOnly {
                console.complain("\(invocation.name): The job would be accepted")
            } else if order.isParsable {
                console.print("\(job)")
            } else if !order.isQuiet {
                console.print("Submitted batch job \(job)")
            }
            return order.waits && !order.submission.testOnly ? JobWatch.wait(job, invocation).exitStatus : 0
        case .refused(_, _, let text, let notes):
            for note in notes { console.complain("\(invocation.name): error: \(note)") }
            return fail(text)
        case .ok:
            console.complain("\(invocation.name): The job would be accepted")
            return 0
        default:
            return fail("Zero Bytes were transmitted or received")
        }
    }

    static let usage = """
        Usage: sbatch [OPTIONS(0)...] [SCRIPT|-]
          -a, --array=INDEXES         submit an array: 1-4,7%2
              --bb=SPEC               burst buffer directives, inserted as the script's second line
              --bbf=FILE              the same from a file
          -b, --begin=TIME            do not start before: now+1hour, 16:00, 2026-12-24T18:00
          -D, --chdir=FOLDER          the script's working folder
          -d, --dependency=LIST       afterok:7, afterany:7, afterburstbuffer:7
          -H, --hold                  submit held
          -J, --job-name=NAME         name of the job
          -o, --output=FILE           its output; %j is the job's id
          -e, --error=FILE            its standard error, where that goes elsewhere
          -t, --time=MINUTES          time limit
              --mail-type=TYPES       BEGIN,END,FAIL,REQUEUE,STAGE_OUT,ALL
              --wrap=COMMAND          a command instead of a script
          -W, --wait                  wait for the end; exit with the job's status
        The other options of Slurm's sbatch are taken too; what has no meaning on one machine has no effect.
        """
}

extension Invocation {
    /// `--help`, `--usage`, `-V` stand alone or before everything else.
    func answersAboutItself(usage: String) -> Bool {
        for word in arguments {
            switch word {
            case "--help", "--usage":
                console.print(usage)
                return true
            case "--version", "-V":
                console.print(Self.slurmVersion)
                return true
            case let word where !word.hasPrefix("-") || word == "--": return false
            default: continue
            }
        }
        return false
    }
}
