import BurstMonitor
import Glibc

if CommandLine.arguments.dropFirst().first == MonitorProgram.keeperOption {
    exit(MonitorProgram.keepDemo(Array(CommandLine.arguments.dropFirst(2))))
}
// The guardian is forked before anything else starts a thread; the modes without a screen need none.
let batchOptions: Set<String> = [
    "--once", "--json", "--jsonl", "--csv", "--check", "--prometheus", "--schema", "--plain", "--help", "-h",
    "--version",
    "--generate-completion-script",
]
if !CommandLine.arguments.dropFirst().contains(where: { batchOptions.contains(String($0.prefix { $0 != "=" })) }) {
    exit(MonitorProgram.guardTerminal { Burstmon.start() })
}
exit(Burstmon.start())
