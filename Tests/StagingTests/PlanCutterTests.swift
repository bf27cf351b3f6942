import BurstStaging
import BurstTestSupport
import Testing

/// A plan is cut so that no host waits long for another (staging.md §4.8).
@Suite struct PlanCutterTests {
    private func paths(_ part: PlanCutter.Part) -> [String] {
        part.paths.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func everyPathIsInOnePartAndNoPartHasMuchMore() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let count = Int.random(in: 1...17, using: &generator)
            let files = Int.random(in: 0...400, using: &generator)
            var cutter = PlanCutter()
            var largest: Int64 = 0
            var total: Int64 = 0
            for file in 0..<files {
                // Of all sizes, from bytes to gigabytes.
                let bytes = Int64(1) << Int64.random(in: 0...Int64.random(in: 1...36, using: &generator))
                cutter.add("0/file\(file)".utf8, bytes: bytes)
                largest = max(largest, bytes + PlanCutter.fileCost)
                total += bytes + PlanCutter.fileCost
            }
            let parts = cutter.cut(into: count)
            #expect(parts.count == count)
            #expect(parts.flatMap(paths).sorted() == (0..<files).map { "0/file\($0)" }.sorted())
            #expect(parts.reduce(0) { $0 + $1.work } == total)
            #expect(parts.reduce(0) { $0 + $1.files } == files)
            for part in parts {
                #expect(part.work <= total / Int64(count) + largest + 1, "\(count) parts of \(files) files")
            }
        }
    }

    @Test func smallFilesStayInTheOrderOfThePlan() {
        var cutter = PlanCutter()
        for file in 0..<1000 { cutter.add("0/folder\(file / 100)/\(file)".utf8, bytes: 4096) }
        let parts = cutter.cut(into: 4)
        #expect(parts.map(\.files) == [250, 250, 250, 250])
        #expect(parts.flatMap(paths) == (0..<1000).map { "0/folder\($0 / 100)/\($0)" })
    }

    @Test func largeFilesAreSpread() {
        var cutter = PlanCutter()
        for file in 0..<8 { cutter.add("0/large\(file)".utf8, bytes: 1 << 32) }
        for file in 0..<100 { cutter.add("0/small\(file)".utf8, bytes: 10) }
        let parts = cutter.cut(into: 4)
        for part in parts { #expect(paths(part).count { $0.hasPrefix("0/large") } == 2) }
        #expect(parts.map(\.files) == [27, 27, 27, 27])
    }

    @Test func namesOfOneFileStayTogether() {
        var cutter = PlanCutter()
        for file in 0..<300 {
            let inode = PlanCutter.Inode(device: 1, number: UInt64(file % 100))
            cutter.add("0/folder\(file / 100)/name\(file)".utf8, bytes: 1 << 20, inode: inode)
        }
        #expect(cutter.bytes == 100 << 20)
        let parts = cutter.cut(into: 3)
        var seen: Set<Int> = []
        for part in parts {
            let inodes = paths(part).compactMap { path in
                path.split(separator: "e").last.flatMap { Int($0) }.map { $0 % 100 }
            }
            #expect(inodes.count == part.files)
            #expect(part.files == 3 * Set(inodes).count)
            #expect(seen.isDisjoint(with: inodes))
            seen.formUnion(inodes)
        }
        #expect(seen.count == 100)
    }
}
