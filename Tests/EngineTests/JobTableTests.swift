import BurstModel
import Testing

@testable import BurstEngine

/// The table of jobs against a plain dictionary.
@Suite struct JobTableTests {
    private func job(_ id: UInt32, array: UInt32 = 0, name: String = "j") -> EngineJob {
        var job = EngineJob(
            id: id, uid: 1, gid: 1, userName: "u", name: name, priority: 1, submitted: Timestamp(seconds: 0))
        job.arrayJobID = array
        return job
    }

    @Test(arguments: [UInt64(1), 2, 3]) func itHoldsWhatADictionaryHolds(seed: UInt64) {
        var table = JobTable()
        var dictionary: [UInt32: EngineJob] = [:]
        var state = seed
        func below(_ limit: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % limit
        }
        for round in 0..<4000 {
            let id = UInt32(below(3) == 0 ? below(100_000) : below(700))
            if below(3) == 0 {
                table[id] = nil
                dictionary[id] = nil
            } else {
                let job = job(id, array: UInt32(below(4)), name: "\(round)")
                table[id] = job
                dictionary[id] = job
            }
            #expect(table.count == dictionary.count)
        }
        #expect(Array(table.keys) == dictionary.keys.sorted())
        #expect(table.values.allSatisfy { dictionary[$0.id] == $0 })
        #expect(dictionary.values.allSatisfy { table[$0.id] == $0 })
        for array in UInt32(1)...4 {
            let expected = dictionary.values.filter { $0.arrayJobID == array }.map(\.id).sorted()
            #expect(table.ofArray(array).map(\.id) == expected)
        }
        for id in dictionary.keys { table[id] = nil }
        #expect(table.isEmpty && Array(table.keys).isEmpty)
    }

    @Test func aCopyStaysAsItWas() {
        var table = JobTable((1...1000).map { job($0) })
        let before = table
        table[500] = job(500, name: "changed")
        table[501] = nil
        table[2000] = job(2000)
        #expect(before.count == 1000 && before[500]?.name == "j" && before[501] != nil && before[2000] == nil)
        #expect(table.count == 1000 && table[500]?.name == "changed" && table[501] == nil && table[2000] != nil)
    }
}
