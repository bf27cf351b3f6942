import BurstEngine
import BurstModel
import BurstTestSupport

/// Engines in the states that the recorded outputs of Slurm 26.05 show.
struct TextScene {
    var settings = EngineSettings()
    var pools: [EnginePool] = []
    var jobs: [EngineJob] = []
    var reservations: [EngineReservation] = []
    var now: Timestamp

    static let root = Caller(uid: 0, gid: 0, userName: "root", isOperator: true)
    static let bob = Caller(uid: 1002, gid: 1002, userName: "bob", isOperator: false)

    init(now: String) {
        self.now = Self.time(now)
        settings.hostName = "node1"
        let gib: UInt64 = 1 << 30
        pools = [
            EnginePool(name: "nvme", granularity: gib, total: 10 << 40),
            EnginePool(name: "pool1", granularity: 1024, total: 1000 << 10),
            EnginePool(name: "pool2", granularity: 2, total: 10), EnginePool(name: "pool4", total: 25000),
        ]
    }

    static func time(_ text: String) -> Timestamp {
        guard let local = LocalTime(text: "2026-11-22T" + text) else { fatalError("no time: \(text)") }
        return Timestamp(seconds: local.secondsSinceEpoch)
    }

    func text(for viewer: Caller = root) -> EngineText {
        var recovered = Engine.Recovered()
        recovered.jobs = jobs
        recovered.pools = pools
        recovered.reservations = reservations
        return EngineText(Engine(settings: settings, recovered: recovered), at: now, for: viewer)
    }

    /// A job of alice that has not begun.
    static func job(_ id: UInt32, _ name: String, submitted: String, file: String? = nil) -> EngineJob {
        var job = EngineJob(
            id: id, uid: 1001, gid: 1001, userName: "alice", name: name, priority: 1, submitted: time(submitted))
        job.groupName = "alice"
        job.eligible = job.submitted
        job.workDir = "/srv/ref/home/alice"
        job.command = "/srv/ref/home/alice/" + (file ?? name)
        job.submitLine = "sbatch " + (file ?? name)
        return job
    }

    static func work(_ spec: String, _ gib: UInt64, _ stage: BufferWork.Stage, created: String?) -> BufferWork {
        var work = BufferWork(spec: spec, since: time("22:00:00"))
        work.pool = "nvme"
        work.size = gib << 30
        work.stage = stage
        work.created = created.map(time)
        return work
    }

    /// Corpus lua/formats: job 1 runs, job 2 is staged in.
    static func formats() -> TextScene {
        var scene = TextScene(now: "22:10:15")
        var first = job(1, "first", submitted: "22:10:11", file: "submit.sh")
        first.state = .running
        first.start = time("22:10:13")
        first.timeLimitMinutes = 365 * 1440
        first.buffer = work("#BB_LUA pool=nvme capacity=4GB", 4, .running, created: "22:10:12")
        var second = job(2, "submit2.sh", submitted: "22:10:13")
        second.reason = .burstBufferStageIn
        second.start = time("22:10:15")
        second.buffer = work(
            "#BB_LUA pool=nvme capacity=10GB", 10, .stagingIn(.init(.dataIn)), created: "22:10:14")
        scene.jobs = [first, second]
        scene.pools[0].used = 14 << 30
        return scene
    }

    /// Corpus lua/arrays: four tasks, two at a time; before and after two were cancelled, one of them running.
    static func array(cancelled: Bool) -> TextScene {
        var scene = TextScene(now: cancelled ? "22:13:47" : "22:13:43")
        for (id, task) in [(1, 4), (2, 1), (3, 2), (4, 3)] as [(UInt32, UInt32)] {
            var job = job(id, "submit.sh", submitted: "22:13:35")
            job.submitLine = "sbatch -a 1-4%2 submit.sh"
            (job.arrayJobID, job.arrayTaskID, job.arrayTasksRunningMax) = (1, task, 2)
            if id == 2 || id == 3 {
                (job.state, job.start) = (.running, time("22:13:36"))
                job.timeLimitMinutes = 365 * 1440
            } else {
                (job.eligible, job.reason) = (nil, .jobArrayTaskLimit)
            }
            job.buffer = work(
                "#BB_LUA pool=nvme capacity=1GB", 1, id == 2 || id == 3 ? .running : .stagedIn, created: "22:13:35")
            if cancelled, id == 1 {
                (job.state, job.start, job.reason) = (.running, time("22:13:43"), .none)
                job.eligible = job.start
                job.buffer?.stage = .running
            } else if cancelled, id == 2 {
                (job.state, job.end, job.exitStatus) = (.cancelled, time("22:13:43"), 15)
                job.buffer = work("#BB_LUA pool=nvme capacity=1GB", 1, .complete, created: nil)
            } else if cancelled, id == 4 {
                (job.state, job.end) = (.cancelled, time("22:13:43"))
                job.buffer = work("#BB_LUA pool=nvme capacity=1GB", 1, .complete, created: nil)
            }
            scene.jobs.append(job)
        }
        scene.pools[0].used = 4 << 30
        return scene
    }
}
