import BurstDataWarp
import BurstTestSupport

extension FuzzTarget {
    private static func promised(_ line: ErrorLine) {
        let text = line.text
        if text.isEmpty || text.utf8.count > ErrorLine.bytesMax { broken("a line has 1 to 200 bytes") }
        if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "'") }) {
            broken("a line has no control characters and no apostrophes")
        }
        let lower = text.lowercased()
        for phrase in ["token not found", "no matching session"] where lower.contains(phrase) {
            broken("no line says \(phrase)")
        }
        for start in ["invalid function", "job_file_valid", "{"] where lower.hasPrefix(start) {
            broken("no line begins with \(start)")
        }
    }

    private static func scripts() -> [[UInt8]] {
        (Fixtures.sections("datawarp/sites.txt") + Fixtures.sections("datawarp/slurm-26.05.txt")).map { section in
            // Without the outcome, which begins with dashes.
            Array(section.output.split(separator: 10).prefix { !$0.starts(with: "-- ".utf8) }.joined(separator: [10]))
        }
    }

    /// Any script gives a plan that is kept and read back, or a few lines that Slurm can show.
    static let directives = FuzzTarget(
        name: "directives", seeds: { scripts() },
        check: { input in
            for (isReplaced, directive) in [(false, nil), (true, nil), (false, "DW"), (true, "BB")] {
                let script: DirectiveScript
                do throws(ErrorLine) {
                    script = try DirectiveScript(input, isReplaced: isReplaced, directive: directive)
                } catch {
                    promised(error)
                    continue
                }
                script.notes.forEach(promised)
                script.faults.map(\.text).forEach(promised)
                if script.notes.count > DirectiveLimits.notesMax { broken("notes are bounded") }
                do throws(DirectiveFaults) {
                    let plan = try StagePlan.read(script)
                    if (try? StagePlan(text: plan.text.utf8)) != plan { broken("a kept plan is read back") }
                    look(at: plan)
                } catch {
                    error.lines.forEach(promised)
                    if error.lines.count > DirectiveLimits.faultsMax { broken("faults are bounded") }
                    for line in error.lines where !line.text.hasPrefix(isReplaced ? "directive " : "line ") {
                        broken("a refusal says its place: \(line)")
                    }
                }
            }
            promised(ErrorLine(String(decoding: input, as: UTF8.self)))
            let name = ErrorLine.name(input)
            if name.utf8.count > ErrorLine.nameBytesMax || name.contains("'") { broken("names are short and escaped") }
            do throws(ErrorLine) {
                let bytes = try CapacityText.read(input)
                if bytes == 0 || bytes > CapacityText.bytesMax { broken("a size is above 0 and below 2^63") }
            } catch {
                promised(error)
            }
        })

    private static func look(at plan: StagePlan) {
        for transfer in plan.transfers {
            for case .buffer(let buffer, let path) in [transfer.source, transfer.destination] {
                if path.bytes.split(separator: UInt8(ascii: "/")).contains(where: { $0.elementsEqual("..".utf8) }) {
                    broken("a path stays within its buffer")
                }
                switch buffer {
                case .job: if plan.scratch(.striped) == nil { broken("what is staged is striped") }
                case .persistent(let name):
                    if !plan.attachments.contains(where: { $0.name == name }) { broken("what is staged is attached") }
                }
            }
            if case .buffer = transfer.source, case .buffer = transfer.destination {
                broken("a copy leaves its buffer")
            }
        }
        let mounts = JobVariables.mounted(of: plan).map { mounted in
            JobVariables.Mount(
                mounted.mounted, path: "/m/" + mounted.mounted.folderName(token: "7"), name: mounted.name)
        }
        guard let variables = try? JobVariables(token: "7", mounts: mounts, withRabbit: true) else {
            broken("every plan has variables")
        }
        if variables.lines.utf8.count(where: { $0 == UInt8(ascii: "=") }) != variables.pairs.count {
            broken("a line has one equals sign")
        }
    }

    /// Any text is the plan that it says, or is refused in one line.
    static let stagePlan = FuzzTarget(
        name: "stage-plan",
        seeds: {
            scripts().compactMap { script in
                (try? DirectiveScript(script)).flatMap { try? StagePlan.read($0) }.map { Array($0.text.utf8) }
            }
        },
        check: { input in
            do throws(StagePlanTextFault) {
                let plan = try StagePlan(text: input)
                if (try? StagePlan(text: plan.text.utf8)) != plan { broken("a kept plan is read back") }
            } catch {
                if error.description.contains(where: \.isNewline) { broken("a refusal is one line") }
            }
        })

    /// Words parted by line feeds, as arguments of both programs.
    static let dwarguments = FuzzTarget(
        name: "dwarguments",
        seeds: {
            [
                "--function\nsetup\n--token\n7\n--caller\nSLURM\n--user\n1\n--groupid\n1\n--capacity\np:1GiB\n--job\n/s",
                "--function\npaths\n--job\n/s\n--token\n7\n--pathfile\n/p", "-f\nteardown\n-t\na-b.c/d\n--hurry",
                "--function\ncreate_persistent\n-c\nCLI\n-t\nalpha\n-u\n1\n-C\np:5\n-a\nstriped\n-T\nscratch",
                "--function=pre_run\n--token=7\n--nodehostnamefile=/n", "sessions\nmost\n-H\n--json\n--compat=2015",
                "pools\nnodes\nsi\ncompat=2017", "--function\nreal_size\n--token\n7",
                "--function\ndata_in\n--token\n7\n--job\n/s\n--no-wait", "-f\ntest_data_in\n-t\n7",
                "-f\ndata_out\n--no-wait\n-t\n7", "-f\ntest_data_out\n--token=7",
                "--function\njob_process\n--job\n/s\n--directive\nBB_LUA",
            ].map { Array($0.utf8) }
        },
        check: { input in
            let arguments = input.split(separator: 10, omittingEmptySubsequences: false).map {
                String(decoding: $0, as: UTF8.self)
            }
            do throws(ErrorLine) {
                if case .setup(let setup) = try StagerCall(arguments: arguments) {
                    if setup.uid >= UInt32.max - 1 || setup.gid >= UInt32.max - 1 { broken("ids are ids") }
                }
            } catch {
                promised(error)
            }
            do throws(ErrorLine) {
                if case .tables(let tables) = try DwstatRequest(arguments: arguments).selection {
                    if tables.isEmpty || Set(tables).count != tables.count { broken("each table once") }
                }
            } catch {
                promised(error)
            }
        })
}
