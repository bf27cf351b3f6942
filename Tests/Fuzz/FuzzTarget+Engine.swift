import BurstEngine
import BurstModel
import BurstTestSupport

/// What users and administrators write for the engine.
extension FuzzTarget {
    private static func oneLine(_ text: String) {
        if text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) {
            broken("a refusal is one line")
        }
    }

    private static let knownPools = [
        Submission.Pool(name: "nvme", granularity: 1 << 30, total: 10 << 40),
        Submission.Pool(name: "p", granularity: 0),
        Submission.Pool(name: "big", granularity: UInt64.max),
    ]

    private static func scripts() -> [[UInt8]] {
        let recorded = Fixtures.sections("engine/submissions-26.05.txt").map(\.output)
        let own = [
            "#!/bin/sh\n#SBATCH -J \"a b\" -a 1-5:2,9%3\n#SBATCH hetjob\n#BB_LUA pool=nvme \\\n#BB_LUA capacity=1K\ntrue",
            "#!/bin/sh\n#SBATCH --time=1-2:3 --begin=now+2hours -d afterok:1_2:3_*?singleton\n#BB_LUA %j%%\\\\%x",
            "afterany:1,after:2+5", "2030-01-02T03:04:05", "12/25-3:30 pm", "uts12", "1-15:4%2", "3.5TB", "16385P",
        ]
        return recorded + own.map { Array($0.utf8) }
    }

    /// A script and all that may stand in it is read or refused in one line.
    static let script = FuzzTarget(
        name: "script", seeds: { scripts() },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            let scan = DirectiveScan(script: text, directive: "BB_LUA")
            if scan.lines.contains(where: { !$0.text.utf8.starts(with: "#BB_LUA".utf8) }) {
                broken("a directive's line begins with it")
            }
            if scan.warnings.count > DirectiveScan.warningsMax { broken("warnings are bounded") }
            scan.warnings.forEach(oneLine)
            submit(.batch(script: text, option: nil))
            submit(.batch(script: "#!/bin/sh\n", option: text))
            submit(.interactive(option: text))
            let whole = BurstBufferOption.inserted(text, into: "#!/bin/sh\ntrue\n")
            if !text.isEmpty, !whole.utf8.starts(with: ("#!/bin/sh\n" + text).utf8) {
                broken("--bb is inserted unchanged")
            }
            let symbols = SymbolText(jobID: 1, workDir: "/", userName: "u", jobName: "%j")
            if symbols.replaced(text).utf8.count > text.utf8.count + input.count {
                broken("symbols add no more than values")
            }
            components(text)
            options(text)
        })

    private static func submit(_ source: Submission.Source) {
        var warnings: [String] = []
        do throws(SubmissionFault) {
            let accepted = try Submission.check(
                source, rules: Submission.Rules(), pools: knownPools, ownerUserID: 1001, warnings: &warnings)
            for request in accepted?.requests ?? [] {
                guard let pool = knownPools.first(where: { $0.name == request.pool }) else {
                    broken("a pool is a known one")
                }
                if request.size == 0 || request.size % max(pool.granularity, 1) != 0 {
                    broken("sizes are whole granules")
                }
                if let total = pool.total, request.size > total { broken("a request fits its pool") }
            }
            _ = (accepted?.size, accepted?.perPool)
        } catch {
            error.lines.forEach(oneLine)
        }
        warnings.forEach(oneLine)
    }

    private static func components(_ text: String) {
        do throws(SubmissionFault) {
            guard let parts = try HetScript.split(text, directive: "BB_LUA") else { return }
            if parts.count < 2 { broken("a heterogeneous job has components") }
            let whole = DirectiveScan(script: text, directive: "BB_LUA").lines.count
            let lines = parts.map { DirectiveScan(script: $0, directive: "BB_LUA").lines.count }.reduce(0, +)
            // A continuation does not go from one component into the next.
            if lines < whole { broken("no directive of a component is lost") }
        } catch {
            error.lines.forEach(oneLine)
        }
    }

    private static func options(_ text: String) {
        do throws(OptionFault) {
            for given in try SbatchOptions.given(script: text) { _ = try SbatchOptions(given) }
        } catch {
            oneLine(error.description)
        }
        let now = Timestamp(seconds: 1_795_486_887)
        _ = TimeText.moment(text, now: now, zone: .fixed())
        _ = TimeText.limit(text)
        if let size = try? SizeText.read(text), size != SizeText.asSlurm(text) { broken("both read a sane size alike") }
        if let array = try? ArrayTasks(text, maxArraySize: 1001) {
            if array.tasks != array.tasks.sorted() || array.tasks.isEmpty { broken("tasks are sorted") }
            let printed = ArrayTasks.text(array.tasks, runningMax: array.runningMax)
            if !printed.contains("..."), try! ArrayTasks(printed, maxArraySize: 1001) != array {
                broken("printed tasks are read back")
            }
        }
        if let dependency = try? Dependency(text) {
            let printed = dependency.text { _ in "" }.filter { $0 != "(" && $0 != ")" }
            if try! Dependency(printed) != dependency { broken("a printed dependency is read back") }
        }
    }

    // MARK: Configuration

    private static func confs() -> [[UInt8]] {
        Fixtures.sections("engine/burst-buffer-conf-26.05.txt").map { section in
            Array(section.output.split(separator: 10).prefix { !$0.elementsEqual("--".utf8) }.joined(separator: [10]))
        }
    }

    /// Pairs that were read are read again the same.
    static let slurmConf = FuzzTarget(
        name: "slurm-conf",
        seeds: {
            let text = """
                ClusterName=ref # a
                NodeName=DEFAULT CPUs=4
                NodeName=n[08-10,12],m RealMemory="100" \\
                  Sockets=2
                PartitionName=debug Nodes=ALL Default=YES MaxTime=1-00 State=UP
                BurstBufferType = burst_buffer/lua
                SchedulerParameters+=bf_interval=1,bb_array_stage_cnt=3
                Include \\#x
                """
            return [Array(text.utf8)] + confs()
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            do throws(ConfigFault) {
                let parsed = try ConfigText.parse(file: "slurm.conf", text: text) { _ in .text("A=1\n") }
                let again = try ConfigText.parse(file: "slurm.conf", text: printed(parsed))
                if again.lines.map(\.pairs) != parsed.lines.map(\.pairs) { broken("printed pairs are read back") }
                let reading = try SlurmConf.read(parsed)
                if reading.conf.nodes.count > SlurmConf.nodesMax { broken("nodes are bounded") }
                reading.notes.forEach { oneLine($0.text) }
            } catch {
                oneLine(error.description)
            }
        })

    private static func printed(_ text: ConfigText) -> String {
        text.lines.map { line in
            line.pairs.map { pair in
                var value = ""
                for scalar in pair.value.unicodeScalars {
                    if scalar == "\\" || scalar == "#" { value.unicodeScalars.append("\\") }
                    value.unicodeScalars.append(scalar)
                }
                return pair.key + "=" + (pair.value.contains("\"") ? value : "\"\(value)\"")
            }.joined(separator: " ") + "\n"
        }.joined()
    }

    static let burstBufferConf = FuzzTarget(
        name: "burst-buffer-conf", seeds: { confs() },
        check: { input in
            let users = UserDirectory(
                uid: { $0 == "alice" ? 1001 : nil }, name: { $0 == 1001 ? "alice" : $0 == 0 ? "root" : nil })
            for plugin in BurstPlugin.allCases {
                do throws(ConfigFault) {
                    let text = try ConfigText.parse(file: "b.conf", text: String(decoding: input, as: UTF8.self))
                    let reading = try BurstBufferConf.read(text, plugin: plugin, users: users)
                    (reading.notes + reading.loaded).forEach { oneLine($0.text) }
                    let conf = reading.conf
                    if conf.directive.isEmpty { broken("a directive is a word") }
                    if plugin == .lua, conf.otherTimeout > BurstBufferConf.timeoutMax { broken("timeouts are cut") }
                    if conf.flags.isSuperset(of: [.disablePersistent, .enablePersistent]) {
                        broken("persistent buffers are allowed or not")
                    }
                    if conf.allowedUserIDs?.contains(0) == true { broken("root is in no list") }
                } catch {
                    oneLine(error.description)
                }
            }
        })
}
