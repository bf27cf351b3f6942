import BurstDataWarp
import Testing

/// The environment that `paths` hands over (staging.md §1.6).
@Suite struct JobVariablesTests {
    private func name(_ text: String) throws -> BufferName { try BufferName(text.utf8) }

    @Test func everyMountHasItsVariable() throws {
        let root = "/mnt/burst/batch/"
        let kinds: [JobVariables.Mounted] = [
            .striped, .private, .stripedCache, .balancedCache, .persistent(try name("alpha")),
            .persistent(try name("my-data.v2")),
        ]
        let mounts = kinds.map { JobVariables.Mount($0, path: root + $0.folderName(token: "783")) }
        #expect(
            try JobVariables(token: "783", mounts: mounts).lines == """
                DW_JOB_STRIPED=/mnt/burst/batch/783_striped_scratch/
                DW_JOB_PRIVATE=/mnt/burst/batch/783_private_scratch/
                DW_JOB_STRIPED_CACHE=/mnt/burst/batch/783_striped_cache/
                DW_JOB_LDBAL_CACHE=/mnt/burst/batch/783_ldbalance_cache/
                DW_PERSISTENT_STRIPED_alpha=/mnt/burst/batch/783_striped_scratch/
                DW_PERSISTENT_STRIPED_my_data_v2=/mnt/burst/batch/783_striped_scratch/

                """)
        #expect(try JobVariables(token: "783", mounts: []).lines == "")
    }

    /// Site scripts take the token from the last name, up to the first `_`, and write `${DW_JOB_STRIPED}file`.
    @Test func valuesKeepWhatScriptsRelyOn() throws {
        for path in ["/m/783_striped_scratch", "/m/783_striped_scratch/"] {
            let value = try #require(
                JobVariables(token: "783", mounts: [.init(.striped, path: path)]).pairs.first?.value)
            #expect(value.hasSuffix("/") && !value.hasSuffix("//"))
            #expect(value.split(separator: "/").last?.split(separator: "_").first == "783")
        }
    }

    @Test func rabbitsVariablesAreAnOption() throws {
        let mounts = [
            JobVariables.Mount(.striped, path: "/m/1_striped_scratch", name: try name("work-area")),
            JobVariables.Mount(.persistent(try name("alpha")), path: "/m/alpha_striped_scratch"),
        ]
        #expect(try JobVariables(token: "1", mounts: mounts).pairs.count == 2)
        #expect(
            try JobVariables(token: "1", mounts: mounts, withRabbit: true).pairs.map(\.name) == [
                "DW_JOB_STRIPED", "DW_JOB_work_area", "DW_PERSISTENT_STRIPED_alpha", "DW_PERSISTENT_alpha",
                "DW_WORKFLOW_NAME", "DW_WORKFLOW_NAMESPACE",
            ])
        #expect(throws: ErrorLine.self) { try JobVariables(token: "a=b", mounts: mounts, withRabbit: true) }
    }

    @Test(arguments: ["", "m/a", "/m\na", "/m=a", "/m\u{0}", "/m\ta"])
    func pathsThatTheFileCannotHoldAreRefused(path: String) {
        #expect(throws: ErrorLine.self) { try JobVariables(token: "1", mounts: [.init(.striped, path: path)]) }
    }

    @Test func aPlanSaysWhatIsMounted() throws {
        let script = """
            #DW jobdw capacity=1GB access_mode=striped,private name=w
            #DW jobdw capacity=1GB type=cache pfs=/lus access_mode=ldbalance,striped
            #DW persistentdw name=alpha
            #DW swap 4
            """
        let plan = try StagePlan.read(try DirectiveScript(Array(script.utf8)))
        let mounted = JobVariables.mounted(of: plan)
        let alpha = try name("alpha")
        #expect(mounted.map(\.mounted) == [.striped, .private, .balancedCache, .stripedCache, .persistent(alpha)])
        #expect(mounted.map { $0.name?.text } == ["w", "w", nil, nil, nil])
    }
}
