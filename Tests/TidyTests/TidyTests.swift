import Testing

/// The rules of the house hold for every file.
@Suite struct TidyTests {
    private static let files = Tree.files()

    @Test(arguments: Rule.all)
    func theTreeKeeps(rule: Rule) {
        #expect(Self.files.count > 50)
        for problem in Self.files.flatMap(rule.check) { Issue.record("\(problem)") }
    }

    @Test func theTopHoldsOnlyWhatBelongsThere() {
        let names = Tree.top()
        #expect(names.contains("Package.swift"))
        for problem in Rule.top(names) { Issue.record("\(problem)") }
    }
}

/// The rules find what they are there for, and nothing else.
@Suite struct RuleTests {
    private func problems(_ rule: Rule, _ path: String, _ text: String) -> [String] {
        rule.check(SourceFile(path: path, text: text))
    }

    @Test(arguments: [
        ("Sources/BurstModel/A.swift", "import Glibc"),
        ("Sources/BurstModel/A.swift", "package import BurstScreen"),
        ("Sources/BurstScreen/A.swift", "internal import BurstReports"),
        ("Sources/BurstScreen/A.swift", "@preconcurrency import BurstTerminal"),
        ("Sources/BurstReports/A.swift", "import Glibc"),
        ("Sources/BurstReports/A.swift", "import Foundation"),
        ("Sources/BurstModel/A.swift", "import struct FoundationEssentials.Date"),
        ("Sources/BurstSources/A.swift", "import Foundation"),
        ("Sources/BurstMonitor/A.swift", "import CCurses"),
        ("Sources/BurstEngine/A.swift", "import CLuaGlue"),
        ("Sources/BurstSources/A.swift", "import TOMLKit"),
        ("Sources/BurstSources/A.swift", "import GRDB"),
        ("Sources/BurstMonitor/A.swift", "import GRDBSQLite"),
        ("Sources/BurstTestSupport/A.swift", "import Testing"),
        ("Tests/ModelTests/A.swift", "@testable import Foundation"),
    ])
    func strangeImportsAreFound(path: String, text: String) throws {
        let found = problems(.imports, path, "// A file.\n" + text + "\n")
        #expect(found.count == 1)
        #expect(try #require(found.first).hasPrefix("\(path):2: imports "))
    }

    @Test(arguments: [
        ("Sources/BurstReports/AtomicFile.swift", "import Glibc"),
        ("Sources/BurstReports/A.swift", "package import BurstModel\nimport FoundationEssentials"),
        ("Sources/BurstTerminal/A.swift", "import CCurses\nimport Glibc"),
        ("Sources/BurstModel/A.swift", "/// Never import Foundation here.\nlet text = \"import Glibc\""),
        ("Sources/BurstModel/A.swift", "let import_count = 1"),
        ("Tests/ModelTests/A.swift", "@testable import BurstModel\nimport Testing\nimport Glibc"),
    ])
    func usualImportsAreNot(path: String, text: String) {
        #expect(problems(.imports, path, text) == [])
    }

    @Test func publicIsFound() {
        #expect(problems(.noPublic, "Sources/A/A.swift", "public struct A {}\n    public let b = 1").count == 2)
        #expect(problems(.noPublic, "Sources/A/A.swift", "// public\nlet a = \"public\"\nlet isPublic = 1") == [])
    }

    @Test func longLinesAreFound() {
        let line = String(repeating: "é", count: 120)
        #expect(problems(.lineLength, "Sources/A/A.swift", line) == [])
        #expect(problems(.lineLength, "Sources/A/A.swift", line + "e").count == 1)
        #expect(problems(.lineLength, "Tests/Fixtures/a.swift", line + "e") == [])
    }

    @Test func markersAreFound() {
        let marker = "TO" + "DO"
        #expect(problems(.noMarkers, "Sources/A/A.swift", "// \(marker): think").count == 1)
        #expect(problems(.noMarkers, "Tests/Reference/a", "# \(marker)").count == 1)
        #expect(
            problems(.noMarkers, "Sources/A/A.swift", "let template = \"burst-XX" + "XXXX\"\nlet to = do_it()") == [])
    }

    @Test func pathsOfAMachineAreFound() {
        let home = "/ho" + "me/alice"
        #expect(problems(.noMachinePaths, "Sources/A/A.swift", "let a = \"/wo" + "rk/b\"").count == 1)
        #expect(problems(.noMachinePaths, "Sources/A/A.swift", "let a = \"\(home)\"").count == 1)
        #expect(problems(.noMachinePaths, "Tests/A/A.swift", "let a = \"\(home)\"") == [])
        #expect(problems(.noMachinePaths, "Tests/Fixtures/a.txt", "WorkDir=/wo" + "rk/a") == [])
    }

    @Test func typesWithoutACommentAreFound() {
        let path = "Sources/A/A.swift"
        #expect(problems(.documented, path, "import B\n\npackage struct A {\n}").count == 1)
        #expect(problems(.documented, path, "// A comment for readers of this file.\nfinal class A {}").count == 1)
        #expect(problems(.documented, path, "/// What it is for.\n@frozen\npackage enum A {}") == [])
        #expect(problems(.documented, path, "extension A {\n    struct B {}\n}\nlet class_count = 1") == [])
        // Only the first one of a file has to.
        #expect(problems(.documented, path, "/// What it is for.\nenum A {}\n\nstruct B {}") == [])
    }

    @Test func testsWithoutExpectationsAreFound() {
        let path = "Tests/ModelTests/ATests.swift"
        #expect(problems(.testsExpect, path, "@Test func a() { _ = 1 }").count == 1)
        #expect(problems(.testsExpect, path, "@Test func a() { #expect(1 == 1) }") == [])
        #expect(problems(.testsExpect, path, "func helper() {}") == [])
    }

    @Test func sleepingTestsAreFound() {
        let call = "sle" + "ep(1)"
        #expect(problems(.noSleeping, "Tests/A/A.swift", "    \(call)").count == 1)
        #expect(problems(.noSleeping, "Tests/A/A.swift", "    try await Task.\(call)").count == 1)
        #expect(problems(.noSleeping, "Tests/A/A.swift", "    let script = \"\(call)\"") == [])
        #expect(problems(.noSleeping, "Sources/BurstTestSupport/A.swift", "    \(call)") == [])
    }

    @Test func strangersAtTheTopAreFound() {
        #expect(Rule.top(["Package.swift", "Sources", ".ci", "notes.txt"]).count == 1)
    }
}
