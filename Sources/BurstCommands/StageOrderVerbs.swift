import ArgumentParser
import BurstClient
import BurstModel
import BurstWire

extension Burst {
    /// Has what failed copied again.
    struct Retry: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy again what failed, from where it ended.",
            discussion: "For the owner and for operators.\n\nEXAMPLE\n  burst retry 7")
        @OptionGroup var options: CommonOptions
        @Argument(help: ArgumentHelp("A job's number, or a persistent buffer's name.", valueName: "TOKEN"))
        var token: String

        func run() throws { try StageOrders.send(.retry(token: token), options) }
    }

    /// Sets how fast a session's copies may be.
    struct ThrottleVerb: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "throttle",
            abstract: "Set how fast a session's copies may be, while they run too. For operators.",
            discussion: """
                0 pauses; without any limit copies are as fast as their pool allows.
                EXAMPLES
                  burst throttle 7 --bytes 100MiB
                  burst throttle 7 --bytes 0
                  burst throttle 7
                """)
        @OptionGroup var options: CommonOptions
        @Option(help: ArgumentHelp("Bytes a second: a number and a unit.", valueName: "SIZE"))
        var bytes: String?
        @Option(help: ArgumentHelp("Files a second.", valueName: "N"))
        var files: UInt64?
        @Argument(help: ArgumentHelp("A job's number, or a persistent buffer's name.", valueName: "TOKEN"))
        var token: String

        func run() throws {
            var rate: UInt64?
            if let bytes {
                guard let known = Amount(text: bytes).known else {
                    throw ValidationError("--bytes \(bytes): write a number and a unit, as --bytes 100MiB; 0 pauses")
                }
                rate = known
            }
            try StageOrders.send(.throttle(token: token, bytesPerSecond: rate, filesPerSecond: files), options)
        }
    }

    /// Says who may use a persistent buffer.
    struct AccessVerb: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "access",
            abstract: "Say who may use a persistent buffer beside its owner.",
            discussion: """
                For the owner and for operators. What is not named any more is taken away; files that are there already
                keep their rights.
                EXAMPLES
                  burst access atlas --user bob --group climate
                  burst access atlas --everyone
                  burst access atlas
                """)
        @OptionGroup var options: CommonOptions
        @Flag(help: "All users of this machine.")
        var everyone = false
        @Option(name: [.customLong("user")], help: ArgumentHelp("A user, by name or number.", valueName: "USER"))
        var users: [String] = []
        @Option(name: [.customLong("group")], help: ArgumentHelp("A group, by name or number.", valueName: "GROUP"))
        var groups: [String] = []
        @Argument(help: ArgumentHelp("The persistent buffer's name.", valueName: "NAME"))
        var name: String

        func run() throws {
            try StageOrders.send(.access(name: name, everyone: everyone, users: users, groups: groups), options)
        }
    }
}

/// What people ask of the stager.
private enum StageOrders {
    /// Asks, and ends as the stager says.
    static func send(_ order: StageOrder, _ options: CommonOptions) throws {
        let invocation = options.invocation
        do throws(ClientError) {
            let connection = try invocation.connect()
            defer { connection.close() }
            let (answer, body) = try connection.ask(.stageOrder(order))
            let text = String(decoding: body, as: UTF8.self).split(separator: "\n").joined(separator: " ")
            switch answer {
            case .staged(_, status: 0, _): return
            case .staged: throw ClientError(.refused, text)
            case .refused(_, _, let text, _): throw ClientError(.refused, text)
            default: throw ClientError(.broken, "burstd answered something else than was asked")
            }
        } catch {
            invocation.console.complain("burst: \(error.advice)")
            throw ExitCode(1)
        }
    }
}
