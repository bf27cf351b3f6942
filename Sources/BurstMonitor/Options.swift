package import BurstScreen
import BurstTerminal

/// What the command line asks for, read and checked.
package struct MonitorOptions: Sendable {
    /// What is done with the boards.
    package enum Mode: Sendable {
        case screen, plain, once, json, schema
        /// A line a sample; `count` nil: until ended.
        case jsonLines(count: Int?)
        case csv(ScreenID)
        case check(String)
        case prometheus(String)
    }

    /// Where they come from.
    package enum Origin: Sendable {
        /// A working scontrol; else a reachable burstd; else a line that says how to get one.
        case automatic
        case slurm
        case burstd
        case replay(path: String, begin: String?, end: String?, speed: Double)
        case follow(path: String)
        /// A private burstd with jobs of its own.
        case demo
        /// The recorded hour of a real Slurm.
        case recordedDemo(speed: Double)
    }

    package var mode = Mode.screen
    package var origin = Origin.automatic
    package var filter: String?
    package var sort: String?
    package var columns: String?
    package var pool: String?
    package var user: String?
    /// burstd's; nil: where it usually is.
    package var socket: String?
    package var record: String?
    package var redact = false
    package var readOnly = false
    package var theme: String?
    package var color: ColorOption?
    package var ascii = false
    package var mouse = false
    package var clipboard = false
    package var intervalSeconds: Int?
    package var jobs: Settings.Jobs?
    package var config: String?
    package var screen: ScreenID?

    package init() {}
}

/// Something that the caller gave is wrong, or the world refuses: one line, and how the program ends.
struct Refusal: Error {
    var text: String
    var code: Int32

    init(_ text: String, code: Int32 = 2) {
        self.text = text
        self.code = code
    }
}

/// What `main` does before it reads its arguments.
package enum MonitorProgram {
    /// Runs the program behind a guardian where a terminal is to be given back; returns its exit status. The very first
    /// thing: no thread may exist yet.
    package static func guardTerminal(_ program: @convention(c) () -> Int32) -> Int32 { Guardian.run(program) }

    /// The option under which this program keeps the demo's burstd (`DemoKeeper`), and with which folder and program.
    package static let keeperOption = "--keep-demo"

    /// Keeps the demo; returns its exit status. The very first thing, too.
    package static func keepDemo(_ arguments: [String]) -> Int32 { DemoKeeper.run(arguments) }
}
