// An author who thinks in classes; config is a getter, the handler a bound method, the result an instance.
abstract class Animal {
  constructor(protected readonly noise: string) {}

  abstract get legs(): number
}

class Cow extends Animal {
  static readonly config = { type: 'event', name: 'IsAClass', subscribes: ['zoo'] } as const
  #calls = 0

  get legs(): number {
    return 4
  }

  handle = async (): Promise<Sighting> => {
    this.#calls++
    return new Sighting(this.noise, this.legs, this.#calls)
  }
}

class Sighting {
  private readonly seen = new Set(['field', 'road'])

  constructor(
    readonly noise: string,
    readonly legs: number,
    private readonly calls: number,
  ) {}

  toJSON(): object {
    return { noise: this.noise, legs: this.legs, calls: this.calls, seen: this.seen }
  }
}

export default { config: Cow.config, handler: new Cow('moo').handle }
