import BurstModel
import Testing

/// What Slurm 22.05 called the output files of jobs that were submitted with these patterns.
@Suite struct OutputNameTests {
    private let job = OutputName(jobID: JobID(42), jobName: "na me", user: "bbalice", host: "node1")
    private let task = OutputName(
        jobID: JobID(37), arrayJobID: JobID(35), arrayTask: 13, jobName: "arr", user: "bbalice", host: "node1")

    @Test(arguments: [
        ("plain", "plain"), ("", ""), ("a-%j", "a-42"), ("b-%5j", "b-00042"), ("c-%05j", "c-00042"),
        ("d-%x-%u", "d-na me-bbalice"), ("e-%A_%a", "e-42_4294967294"), ("f-%N", "f-node1"), ("g-%J", "g-42"),
        ("u-%5J", "u-00042"), ("m-%n-%t-%s", "m-0-0-batch"), ("t-%5s-%3t-%3n", "t-batch-000-000"), ("z-%j%", "z-42%"),
        ("C-%1j-%2j-%0j", "C-42-42-42"), ("v-%5A-%3a", "v-00042-4294967294"),
    ]) func symbolsAreReplaced(pattern: String, name: String) {
        #expect(job.expand(pattern) == name)
    }

    @Test(arguments: [
        ("s-%99j", "s-0000000042"), ("D-%100j", "D-0000000042"), ("o-%4294967297j", "o-0000000042"),
        ("p-%99999999999999999999j", "p-0000000042"), ("f-%010j", "f-0000000042"),
    ]) func zerosFillUpToTenDigitsAndNoMore(pattern: String, name: String) {
        #expect(job.expand(pattern) == name)
    }

    @Test(arguments: [("r-%12x", "r-na me"), ("A-%15N", "A-node1"), ("q-%5u-%3N", "q-bbalice-node1")])
    func aWidthMeansNothingToAWord(pattern: String, name: String) {
        #expect(job.expand(pattern) == name)
    }

    @Test(arguments: [
        ("i-%%", "i-%"), ("i-%%j", "i-%j"), ("x-%%%j", "x-%42"), ("c-%%%", "c-%%"), ("t-%%5j", "t-%5j"),
        ("w-%5%", "w-5%"), ("g-%5%%j", "g-5%j"),
    ]) func aDoubledSignIsOne(pattern: String, name: String) {
        #expect(job.expand(pattern) == name)
    }

    @Test(arguments: [
        ("j-%q", "j-%q"), ("B-%X-%Z", "B-%X-%Z"), ("k-%", "k-%"), ("l-%5", "l-5"), ("d-%-5j", "d-%-5j"),
        ("n-%é-%j", "n-%é-42"), ("a-%5%j", "a-542"), ("b-%5q%j", "b-5q42"), ("s-%5%x", "s-5na me"),
    ]) func whatIsNoSymbolStays(pattern: String, name: String) {
        #expect(job.expand(pattern) == name)
    }

    @Test(arguments: [
        (#"n-\%j"#, "n-%j"), (#"o-\\%j"#, #"o-\%j"#), (#"q-%j\\-%x"#, #"q-%j\-%x"#), (#"D-\%x\n"#, "D-%xn"),
        (#"F-\\\\%j"#, #"F-\\%j"#), (#"G-\\\%j"#, #"G-\%j"#), (#"k-\"#, "k-"), (#"l-%j-\\"#, #"l-%j-\"#),
        (#"m\-%j"#, "m-%j"),
    ]) func aBackslashTurnsSymbolsOff(pattern: String, name: String) {
        #expect(job.expand(pattern) == name)
    }

    @Test func tasksOfArraysHaveTheirNumbers() {
        #expect(task.expand("arr-%A_%a-%j-%J-%4a-%x") == "arr-35_13-37-37-0013-arr")
        #expect(task.expand(OutputName.usualOfArray) == "slurm-35_13.out")
        #expect(job.expand(OutputName.usual) == "slurm-42.out")
        // Last digit only (26.05).
        #expect(task.expand("%b-%4b") == "3-0003")
    }

    @Test func aRelativeNameStandsInTheWorkFolder() {
        #expect(job.path("a/%j", in: "/data/%j") == "/data/%j/a/42")
        #expect(job.path("/abs/%j", in: "/data") == "/abs/42")
        #expect(job.path("%j", in: "/") == "/42")
    }
}
