/// All jobs by their numbers, in order. A copy costs little however many there are, and so does the first change after
/// it: whoever looks at the jobs, or may have to go back to them, keeps a copy.
package struct JobTable: Sendable, Sequence {
    /// A job is large, and is moved about by its reference.
    fileprivate final class Box: Sendable {
        let job: EngineJob
        init(_ job: EngineJob) { self.job = job }
    }

    /// Jobs whose numbers differ in the last eight bits only.
    fileprivate struct Page: Sendable {
        let number: UInt32
        var boxes: [Box?] = Array(repeating: nil, count: JobTable.pageJobs)
        var count = 0
    }

    private static let pageJobs = 256

    /// In order, none without a job.
    private var pages: [Page] = []
    /// Of arrays, the jobs that are part of one, their own included.
    private var arrays: [UInt32: Set<UInt32>] = [:]
    package private(set) var count = 0

    package init() {}

    package init(_ jobs: some Sequence<EngineJob>) {
        for job in jobs { self[job.id] = job }
    }

    package var isEmpty: Bool { count == 0 }

    /// Where the page is, or would be.
    private func place(_ number: UInt32) -> Int {
        // New jobs come last.
        guard let last = pages.last, last.number >= number else { return pages.count }
        var low = 0
        var high = pages.count - 1
        while low < high {
            let middle = (low + high) / 2
            if pages[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func box(_ id: UInt32) -> Box? {
        let number = id / UInt32(Self.pageJobs)
        let place = place(number)
        guard place < pages.count, pages[place].number == number else { return nil }
        return pages[place].boxes[Int(id) % Self.pageJobs]
    }

    package subscript(id: UInt32) -> EngineJob? {
        get { box(id)?.job }
        set { set(id, newValue) }
    }

    private mutating func set(_ id: UInt32, _ job: EngineJob?) {
        let number = id / UInt32(Self.pageJobs)
        let slot = Int(id) % Self.pageJobs
        let place = place(number)
        let isThere = place < pages.count && pages[place].number == number
        if !isThere {
            guard job != nil else { return }
            pages.insert(Page(number: number), at: place)
        }
        let before = pages[place].boxes[slot]
        pages[place].boxes[slot] = job.map(Box.init)
        let change = (job == nil ? 0 : 1) - (before == nil ? 0 : 1)
        pages[place].count += change
        count += change
        if pages[place].count == 0 { pages.remove(at: place) }
        let (from, to) = (before?.job.arrayJobID ?? 0, job?.arrayJobID ?? 0)
        guard from != to else { return }
        if from != 0 {
            arrays[from]?.remove(id)
            if arrays[from]?.isEmpty == true { arrays[from] = nil }
        }
        if to != 0 { arrays[to, default: []].insert(id) }
    }

    /// The jobs that an array was split into, and what is left of it, in order; none for a job that is no array.
    package func ofArray(_ id: UInt32) -> [EngineJob] {
        (arrays[id] ?? []).sorted().compactMap { self[$0] }
    }

    // MARK: All of them

    package struct Iterator: IteratorProtocol {
        fileprivate let pages: [Page]
        private var page = 0
        private var slot = 0

        fileprivate init(_ pages: [Page]) { self.pages = pages }

        package mutating func next() -> (key: UInt32, value: EngineJob)? {
            while page < pages.count {
                while slot < JobTable.pageJobs {
                    slot += 1
                    if let job = pages[page].boxes[slot - 1]?.job { return (job.id, job) }
                }
                page += 1
                slot = 0
            }
            return nil
        }
    }

    package func makeIterator() -> Iterator { Iterator(pages) }

    package var keys: some Sequence<UInt32> { lazy.map(\.key) }
    package var values: some Sequence<EngineJob> { lazy.map(\.value) }
}
