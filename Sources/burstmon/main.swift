import BurstMonitor
import Glibc

// The guardian is forked before anything else starts a thread; the modes without a screen need none.
let batchOptions: Set<String> = [
    "--once", "--json", "--jsonl", "--csv", "--check", "--prometheus", "--schema", "--plain", "--help", "-h",
    "--version",
    "--generate-completion-script",
]
if !CommandLine.arguments.dropFirst().contains(where: { batchOptions.contains(String($0.prefix { $0 != "=" })) }) {
    MonitorProgram.guardTerminal()
}
exit(Burstmon.start())
