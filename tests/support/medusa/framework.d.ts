// What contrib/medusa/recovery.ts uses of Medusa's framework, as @medusajs/framework 2 declares it.
declare module "@medusajs/framework" {
  export interface SubscriberArgs<T = unknown> {
    event: { name: string; data: T; metadata?: Record<string, unknown> }
    container: { resolve(name: string): unknown }
    pluginOptions: Record<string, unknown>
  }
  export interface SubscriberConfig {
    event: string | string[]
    context?: { subscriberId?: string } & Record<string, unknown>
  }
}

// And of Node and the web's interfaces in it, so that no other types are needed.
declare const process: { env: Record<string, string | undefined> }
declare const console: { error(text: string): void }
declare function setTimeout(callback: () => void, milliseconds: number): unknown
declare function encodeURIComponent(text: string): string
declare const AbortSignal: { timeout(milliseconds: number): unknown }
declare function fetch(
  url: string,
  options: { method: string; headers: Record<string, string>; body?: string; redirect: string; signal: unknown },
): Promise<{ status: number; ok: boolean; arrayBuffer(): Promise<ArrayBuffer> }>
